"""Remove the files of reports that are given up, that nobody counts, or that are left over."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import click

from postgres.pool import Pool
from postgres.report_files import SLICE_RUNS, Keep
from worker.artifacts.at_hand import archive_at_hand
from worker.artifacts.removal import (
    Removal,
    expire,
    grace_seconds,
    remove_expired,
    remove_found,
    stale_drafts,
    uncounted,
    would_expire,
)
from worker.commands.connect import ledger_pool
from worker.commands.layout import counted, printable
from worker.outside import settings_of_this_process

_TOO_OLD = "too old or too many"
_UNCOUNTED = "not counted by any run"
_UNFINISHED = "never finished"


@click.command("purge")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def purge_files(*, dry_run: bool) -> None:
    """Remove files of reports by CELERIAC_ARTIFACT_DAYS and CELERIAC_ARTIFACT_RUNS.

    And what dead workers left: files that no run counts, and drafts, both a
    day old at least. Safe to repeat, and beside workers and other purges.
    """
    with closing(ledger_pool()) as pool:
        found = _would_remove(pool) if dry_run else _remove(pool)
        counts: Counter[str] = Counter()
        for why, removal in found:
            if removal.left is not None:
                click.echo(printable(f"left alone: {removal.url}: {removal.left}"))
                counts["left"] += 1
                continue
            counts[why] += 1
            if dry_run:
                click.echo(printable(f"{removal.url}: {why}"))
    _sum_up(counts, "would be removed" if dry_run else "removed")
    sys.exit(1 if counts["left"] else 0)


def _remove(pool: Pool) -> Iterator[tuple[str, Removal]]:
    settings = settings_of_this_process()
    archive = archive_at_hand(settings.artifacts, pool)
    while expire(_keep(), pool) >= SLICE_RUNS:
        pass
    for removal in remove_expired(archive, pool):
        yield _TOO_OLD, removal
    older_than = time.time() - grace_seconds(settings.report_seconds)
    for removal in remove_found(uncounted(archive, pool, older_than), archive):
        yield _UNCOUNTED, removal
    for removal in remove_found(stale_drafts(archive, older_than), archive):
        yield _UNFINISHED, removal


def _would_remove(pool: Pool) -> Iterator[tuple[str, Removal]]:
    settings = settings_of_this_process()
    archive = archive_at_hand(settings.artifacts, pool)
    for run in would_expire(_keep(), pool):
        yield _TOO_OLD, Removal(run.url)
    older_than = time.time() - grace_seconds(settings.report_seconds)
    for one in uncounted(archive, pool, older_than):
        yield _UNCOUNTED, Removal(archive.shelf.url(one.place))
    for one in stale_drafts(archive, older_than):
        yield _UNFINISHED, Removal(archive.shelf.url(one.place))


def _keep() -> Keep:
    settings = settings_of_this_process()
    return Keep(settings.artifact_days, settings.artifact_runs, settings.result_expires_seconds)


def _sum_up(counts: Counter[str], done: str) -> None:
    for why in (_TOO_OLD, _UNCOUNTED, _UNFINISHED):
        if counts[why]:
            click.echo(f"{counted(counts[why], 'file')} {done}: {why}")
    if not counts:
        click.echo("nothing is to be removed")
