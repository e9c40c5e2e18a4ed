"""Look the deployment over and say what is wrong with it."""

import json
import sys

import click

from worker.commands.layout import counted, printable
from worker.doctor.finding import Finding, Level, worst
from worker.doctor.visit import visit


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
def doctor(*, as_json: bool) -> None:
    """Say what is wrong with this deployment, and what mends it; changes nothing.

    Looks at versions, settings, servers, schema, catalog, queues, leases and connections. The exit
    status is 0 if all is well, 1 for warnings, 2 for problems.
    """
    findings = []
    for one in visit():
        findings.append(one)
        if not as_json:
            _show(one)
    if as_json:
        click.echo(json.dumps(_as_json(findings), indent=2))
    else:
        click.echo(_summary(findings))
    sys.exit(worst(findings))


def _show(one: Finding) -> None:
    click.echo(f"{one.level.word:<8} {one.about}: {printable(one.sentence)}")
    if one.remedy is not None:
        click.echo(f"{'':<8}   → {printable(one.remedy)}")


def _summary(findings: list[Finding]) -> str:
    counts = {level: sum(one.level is level for one in findings) for level in Level}
    problems = counted(counts[Level.PROBLEM], "problem")
    warnings = counted(counts[Level.WARNING], "warning")
    return f"{problems}, {warnings}, {counted(len(findings), 'thing')} looked at"


def _as_json(findings: list[Finding]) -> dict[str, object]:
    return {
        "status": worst(findings).word,
        "findings": [
            {
                "about": one.about,
                "level": one.level.word,
                "sentence": one.sentence,
                "remedy": one.remedy,
            }
            for one in findings
        ],
    }
