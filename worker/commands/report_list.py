"""Show which reports there are, and what each takes."""

from collections.abc import Mapping

import click

from tasks.reports.declared.catalog import DeclaredReport, load_reports
from tasks.reports.declared.parameter import ARRAY, Parameter
from worker.commands.layout import counted, table
from worker.outside import settings_of_this_process

#: The last one has the end of the line, and may be long.
_HEADERS = ("name", "title", "format", "schedule", "parameters")


@click.command("list")
def list_reports() -> None:
    """Show the reports of the catalog, their parameters, formats and schedules."""
    found = load_reports(settings_of_this_process().catalog)
    for line in table(_HEADERS, [_row(report) for report in found.values()]) if found else ():
        click.echo(line)
    click.echo(counted(len(found), "report"))


def _row(report: DeclaredReport) -> tuple[str, ...]:
    header = report.header
    when = header.scheduled
    schedule = f"{when.cron} {when.timezone}" if when else ""
    return (report.name, header.title, header.format.value, schedule, _params(header.params))


def _params(params: Mapping[str, Parameter]) -> str:
    """Write each parameter as somebody would give it: a required one bare, others in brackets."""
    words = (f"{name}={_taken(parameter)}" for name, parameter in params.items())
    needed = (parameter.required for parameter in params.values())
    return " ".join(
        word if required else f"[{word}]" for word, required in zip(words, needed, strict=True)
    )


def _taken(parameter: Parameter) -> str:
    if not parameter.values:
        return parameter.type
    words = "|".join(parameter.values)
    return f"({words}){ARRAY}" if parameter.is_array else words
