"""Load files: enqueue a job a file, and follow them to their end."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from postgres.outbox import enqueue
from postgres.pool import Pool
from postgres.transaction import transaction
from tasks.targets import BadCatalog, load_targets
from worker.commands.connect import ledger_pool
from worker.commands.follow import follow
from worker.ingest_files import (
    BadPlace,
    FileToLoad,
    Planned,
    files_at,
    local_file,
    plan,
    remote_file,
)
from worker.outside import settings_of_this_process


@click.command()
@click.argument("places", nargs=-1, required=True)
@click.option("--target", required=True, help="Where the rows go; see catalog/targets.toml.")
@click.option("--format", "format_", help="csv, jsonl or parquet; default: by the file's name.")
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="See docs/files.md.")
@click.option("--atomic", is_flag=True, help="All rows of a file in one transaction, or none.")
@click.option("--no-wait", is_flag=True, help="Enqueue, and do not wait for the end.")
def ingest(  # noqa: PLR0913 - one argument an option
    places: Sequence[str],
    target: str,
    format_: str | None,
    options: Sequence[str],
    *,
    atomic: bool,
    no_wait: bool,
) -> None:
    """Load files, folders or globs of the inbox, or URLs: one job a file, a file once."""
    wanted = dict(map(_option, options)) | ({"atomic": True} if atomic else {})
    _refuse_unknown(target)
    pool = ledger_pool()
    try:
        planned = _enqueue(_files(places), target, format_, wanted, pool)
        followed = {one.job_id: one.file.url for one in planned if one.skipped is None}
        are_committed = no_wait or not followed or follow(followed, pool)
    finally:
        pool.close()
    if not are_committed or any(one.is_refused for one in planned):
        sys.exit(1)


def _refuse_unknown(target: str) -> None:
    try:
        known = load_targets(settings_of_this_process().catalog)
    except BadCatalog as error:
        raise click.ClickException(str(error)) from error
    if target not in known:
        names = ", ".join(known) or "none"
        raise click.ClickException(f"target {target!r} is not in the catalog, which has: {names}")


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} must be KEY=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _files(places: Sequence[str]) -> list[FileToLoad]:
    settings = settings_of_this_process()
    found: list[FileToLoad] = []
    try:
        for place in places:
            if "://" in place:
                found.append(remote_file(place, settings.file_prefixes))
            else:
                found += map(local_file, files_at(place, settings.inbox))
    except BadPlace as error:
        raise click.ClickException(str(error)) from error
    return list(dict.fromkeys(found))


def _enqueue(
    files: Sequence[FileToLoad],
    target: str,
    format_: str | None,
    options: Mapping[str, Any],
    pool: Pool,
) -> list[Planned]:
    with transaction(pool) as cursor:
        planned = [plan(file, target, format_, options, cursor) for file in files]
        enqueue([one.entry for one in planned if one.entry is not None], cursor)
    for one in planned:
        click.echo(f"{one.file.url}: {one.skipped or f'job {one.job_id}'}")
    return planned
