"""Look the deployment over and say what is wrong with it."""

import json
import sys
from collections.abc import Iterator

import click

from worker.commands.layout import counted, printable
from worker.doctor.broker import look_at_broker, look_at_results
from worker.doctor.database import facts_of, look_at_database, look_at_report_database
from worker.doctor.finding import Finding, Level, ok, problem, worst
from worker.doctor.folders import look_at_folders
from worker.doctor.versions import look_at_versions
from worker.doctor.workers import Crew, ask_workers, look_at_pools, look_at_queues
from worker.kinds import BadKind, queues_of
from worker.named import load
from worker.outside import settings_or_mistakes
from worker.relay.broker import BROKER_ERRORS


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
def doctor(*, as_json: bool) -> None:
    """Say what is wrong with this deployment, and what mends it; changes nothing.

    Looks at versions, settings, servers, schema, catalog, queues, leases and connections. The exit
    status is 0 if all is well, 1 for warnings, 2 for problems.
    """
    findings = []
    for one in _visit():
        findings.append(one)
        if not as_json:
            _show(one)
    if as_json:
        click.echo(json.dumps(_as_json(findings), indent=2))
    else:
        click.echo(_summary(findings))
    sys.exit(worst(findings))


def _visit() -> Iterator[Finding]:
    yield from look_at_versions()
    settings = settings_or_mistakes()
    if isinstance(settings, list):
        yield from (problem("settings", mistake, "python -m config") for mistake in settings)
        return
    try:
        queues = queues_of(settings.kinds)
    except BadKind as error:
        yield problem("settings", str(error), "correct CELERIAC_KINDS")
        return
    yield ok("settings", "no mistake in them")
    yield from look_at_database(settings)
    yield from look_at_report_database(settings)
    yield from look_at_broker(settings)
    yield from look_at_results(settings)
    crew = _crew()
    yield from look_at_queues(settings, queues, crew)
    yield from look_at_pools(settings, crew, facts_of(settings))
    yield from look_at_folders(settings)


def _crew() -> Crew:
    try:
        # Celery and all kinds are loaded only here: with wrong settings that would not work.
        return ask_workers(load("worker.app:app"))
    except BROKER_ERRORS:
        return Crew({}, {})


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
