"""Compare the catalog's targets with the database."""

import sys
from collections.abc import Iterator

import click

from postgres import Cursor
from postgres.table import Tables
from postgres.table_facts import examine
from postgres.transaction import transaction
from tasks.check_target import problems
from tasks.fit import mismatches
from tasks.target import Target
from tasks.targets import load_targets
from worker.commands.connect import ledger_pool
from worker.commands.layout import counted, printable
from worker.outside import settings_of_this_process


@click.command("check")
@click.argument("names", nargs=-1)
def check_targets(names: tuple[str, ...]) -> None:
    """Compare targets (default: all) with the database, as the role that workers use.

    Says for each problem what to do. The exit status is 1 if there is any.
    """
    targets = load_targets(settings_of_this_process().catalog)
    unknown = [name for name in names if name not in targets]
    if unknown:
        known = ", ".join(targets) or "none"
        raise click.BadParameter(f"target {unknown[0]!r} is not in the catalog, which has: {known}")
    pool = ledger_pool()
    try:
        with transaction(pool) as cursor:
            found = {name: list(problems_of(targets[name], cursor)) for name in names or targets}
    finally:
        pool.close()
    for name, sentences in found.items():
        _show(targets[name], sentences)
    bad = sum(map(bool, found.values()))
    click.echo(f"{counted(len(found), 'target')}, {bad or 'none'} with problems")
    if bad:
        sys.exit(1)


def problems_of(target: Target, cursor: Cursor) -> Iterator[str]:
    """Yield what of a target does not fit the database, a sentence each with its remedy."""
    facts = examine(target.schema, target.table, cursor)
    yield from problems(target, facts)
    if facts is not None and facts.sees_schema:
        table = Tables().describe(target.schema, target.table, cursor)
        for sentence in mismatches(target, table):
            yield sentence.removeprefix(f"target {target.name}: ")


def _show(target: Target, sentences: list[str]) -> None:
    if not sentences:
        click.echo(f"ok       {target.name}  {target.schema}.{target.table}")
    for sentence in sentences:
        click.echo(f"problem  {target.name}  {printable(sentence)}")
