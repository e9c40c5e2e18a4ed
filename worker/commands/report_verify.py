"""Verify that the files of reports are what was recorded of them."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import datetime

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from postgres.pool import Pool
from postgres.report_files import Chosen, count_counted
from postgres.transaction import transaction
from tasks.reports.declared.catalog import load_reports
from worker.artifacts.at_hand import archive_at_hand
from worker.artifacts.removal import grace_seconds, uncounted
from worker.artifacts.verify import Fault, Finding, verify
from worker.commands.choosing import Moment
from worker.commands.connect import ledger_pool
from worker.commands.layout import counted, printable
from worker.commands.report_check import chosen_report
from worker.outside import settings_of_this_process


@click.command("verify")
@click.option("--report", metavar="NAME", help="Only the files of this report.")
@click.option("--since", type=Moment(), help="Only what ran since: a time, or 12h, 7d (ago).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def verify_files(report: str | None, since: datetime | None, *, as_json: bool) -> None:
    """Read the files of reports again and compare them with what was recorded.

    Says which are missing, changed, unreadable or not below ARTIFACTS, and
    which no run counts; the exit status is 1 if there are any.
    """
    chosen = Chosen(report, since)
    faults = 0
    with closing(ledger_pool()) as pool, _bar() as bar:
        with transaction(pool) as cursor:
            total = count_counted(chosen, cursor)
            if report is not None and not count_counted(Chosen(report), cursor):
                _refuse_unknown(report)
        task = bar.add_task("verifying", total=total)
        for finding in _findings(chosen, pool, lambda files: bar.advance(task, files)):
            faults += 1
            click.echo(json.dumps(asdict(finding)) if as_json else _line(finding))
    summary = f"{counted(total, 'file')} verified, {counted(faults, 'fault')} found"
    click.echo(summary, err=as_json)
    sys.exit(1 if faults else 0)


def _refuse_unknown(report: str) -> None:
    """Refuse the name of a report that was never asked for, unless the catalog has it."""
    settings = settings_of_this_process()
    chosen_report(load_reports(settings.catalog, settings.report_seconds), report)


def _findings(chosen: Chosen, pool: Pool, tell: Callable[[int], None]) -> Iterator[Finding]:
    settings = settings_of_this_process()
    archive = archive_at_hand(settings.artifacts, pool)
    yield from verify(chosen, archive, pool, tell)
    older_than = time.time() - grace_seconds(settings.report_seconds)
    for one in uncounted(archive, pool, older_than, chosen.report):
        if chosen.since is None or one.changed_at >= chosen.since.timestamp():
            url = archive.shelf.url(one.place)
            words = "no run names it; `python -m worker reports purge` removes it"
            yield Finding(Fault.UNCOUNTED, url, words, one.place.partition("/")[0])


def _line(finding: Finding) -> str:
    words = f"{finding.fault}: {finding.url}: {finding.words}"
    return printable(words + (f" (job {finding.job_id})" if finding.job_id else ""))


def _bar() -> Progress:
    # Findings stand on standard output alone, for whoever reads them there.
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        redirect_stdout=False,
        transient=True,
    )
