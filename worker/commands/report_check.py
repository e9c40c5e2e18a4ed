"""Compare the catalog's reports with the database that they read."""

import sys
from collections.abc import Iterator, Mapping, Sequence

import click

from postgres.describe_query import Misfit, describe
from postgres.pool import Pool
from postgres.snapshot import Column, pin, snapshot
from tasks.reports.declared.catalog import DeclaredReport, load_reports
from tasks.reports.declared.header import Chart, Unanswerable
from tasks.reports.declared.read_sql import Statement
from tasks.reports.sections import load_python
from worker.commands.connect import report_pool, report_terms
from worker.commands.layout import counted, printable
from worker.outside import settings_of_this_process


@click.command("check")
@click.argument("names", nargs=-1)
def check_reports(names: tuple[str, ...]) -> None:
    """Compare reports (default: all) with the database that they read.

    Plans every statement there, reads no row, and names the file and the line of what does not
    fit. The exit status is 1 if there is anything.
    """
    settings = settings_of_this_process()
    reports = load_reports(settings.catalog, settings.report_seconds)
    chosen = [chosen_report(reports, name) for name in names or reports]
    pool = report_pool()
    try:
        found = [
            (one, list(problems_of_report(one, pool, settings.report_seconds))) for one in chosen
        ]
    finally:
        pool.close()
    for report, sentences in found:
        _show(report, sentences)
    bad = sum(bool(sentences) for _, sentences in found)
    click.echo(f"{counted(len(found), 'report')}, {bad or 'none'} with problems")
    if bad:
        sys.exit(1)


def chosen_report(reports: Mapping[str, DeclaredReport], name: str) -> DeclaredReport:
    """Return a report by its name, or say which there are."""
    if name not in reports:
        known = ", ".join(reports) or "none"
        raise click.BadParameter(f"report {name!r} is not in the catalog, which has: {known}")
    return reports[name]


def problems_of_report(report: DeclaredReport, pool: Pool, seconds: float) -> Iterator[str]:
    """Yield what of a report does not fit the database, a sentence each with file and line."""
    if report.is_python:
        try:
            load_python(report)
        except Unanswerable as error:
            yield str(error)
    for statement in report.statements:
        # What the server refused ends its transaction: each statement has one of its own.
        with snapshot(pool, report_terms()) as cursor:
            pin(cursor, seconds)
            try:
                columns = describe(cursor, statement.query, report.types)
            except Misfit as misfit:
                yield f"{report.path}:{statement.line + misfit.line}: {misfit}"
                continue
        yield from _chart_problems(report, statement, columns)


def _chart_problems(
    report: DeclaredReport, statement: Statement, columns: Sequence[Column]
) -> Iterator[str]:
    chart = statement.chart
    if chart is None:
        return
    by_name = {column.name: column for column in columns}
    where = f"{report.path}:{statement.line}: the chart of {statement.name}"
    for name in _named(chart):
        if name not in by_name:
            yield f"{where} needs column {name!r}, the query gives {', '.join(by_name)}"
    if chart.y in by_name and not by_name[chart.y].is_number:
        yield f"{where} draws numbers, column {chart.y!r} holds none"


def _named(chart: Chart) -> list[str]:
    return [name for name in (chart.x, chart.y, chart.series) if name]


def _show(report: DeclaredReport, sentences: list[str]) -> None:
    if not sentences:
        said = "in Python: it loads, its queries are known when it runs" if report.is_python else ""
        click.echo(f"ok       {report.name}  {said}".rstrip())
    for sentence in sentences:
        click.echo(f"problem  {report.name}  {printable(sentence)}")
