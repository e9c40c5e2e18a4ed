"""The rows that were set aside: look at them, send them again, give them up."""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from postgres.kept_jobs import read_job
from postgres.quarantined import (
    EntryState,
    Selection,
    count_by_reason,
    discard_entries,
    lock_open,
    read_all,
    read_page,
)
from postgres.transaction import transaction
from worker.commands.choosing import Command, several, time_and_reason
from worker.commands.connect import ledger_pool
from worker.commands.entry_lines import entry_facts, listed, next_step, row_lines, summed_up
from worker.commands.exchange import FORMATS, export_to, format_of
from worker.commands.layout import counted, facts
from worker.commands.replaying import replay_file, replay_selected

_OPEN = (EntryState.QUARANTINED, EntryState.REPLAYING)
_DISCARD_PAGE_ENTRIES = 1_000


@click.group()
def quarantine() -> None:
    """Look at rows that were set aside, replay them, discard them."""


def choosing_entries(command: Command) -> Command:
    """Add the arguments by which entries are chosen."""
    command = time_and_reason(command)
    command = click.option("--job", "jobs", multiple=True, metavar="ID", help="May be repeated.")(
        command
    )
    return click.argument("ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID]...")(command)


def of_state(*default: EntryState) -> Callable[[Command], Command]:
    """Add the option that chooses states."""
    return click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice([*(state.value for state in EntryState), "any"]),
        default=[state.value for state in default],
        show_default=True,
        help="May be repeated.",
    )


@quarantine.command("list")
@choosing_entries
@of_state(*_OPEN)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=0), help="0: all.")
def list_entries(limit: int, **chosen: Any) -> None:
    """List entries, the oldest first, and count them by target and reason."""
    selection = _selection(**chosen)
    with transaction(ledger_pool()) as cursor:
        counts = count_by_reason(selection, cursor)
        entries = list(read_all(selection, cursor, limit=limit or None, with_rows=False))
    total = sum(one.entries for one in counts)
    if not total:
        click.echo("no such row is in the quarantine")
        return
    for line in listed(entries):
        click.echo(line)
    if len(entries) < total:
        click.echo(f"… {len(entries)} of {counted(total, 'entry', 'entries')}; --limit 0 shows all")
    click.echo()
    for line in summed_up(counts):
        click.echo(line)


@quarantine.command("show")
@click.argument("entry_id", type=click.IntRange(min=1), metavar="ID")
@click.option("--whole", is_flag=True, help="Do not cut long values.")
def show_entry(entry_id: int, *, whole: bool) -> None:
    """Show everything about one entry, its row column by column."""
    with transaction(ledger_pool()) as cursor:
        found = read_page(Selection(ids=[entry_id]), cursor)
        if not found:
            raise click.ClickException(
                f"there is no entry {entry_id} in the quarantine; "
                "see `python -m worker quarantine list --state any`"
            )
        (entry,) = found
        replay = read_job(entry.replay_job, cursor) if entry.replay_job else None
    click.echo(f"entry {entry.id}")
    for line in (
        *facts(entry_facts(entry, replay)),
        "",
        *row_lines(entry, whole=whole),
        "",
        next_step(entry),
    ):
        click.echo(line)


@quarantine.command("replay")
@choosing_entries
@click.option("--all", "everything", is_flag=True, help="Every entry that waits; asks first.")
@click.option(
    "--from",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rows as this file has them: an export, edited.",
)
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="Default: by the file's name."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def replay_entries(
    file: Path | None,
    format_: str | None,
    *,
    everything: bool,
    dry_run: bool,
    yes: bool,
    **chosen: Any,
) -> None:
    """Enqueue rows again; an entry is closed when its row is committed.

    Safe to repeat, and to run twice at once: a row goes into its target once.
    """
    if file is not None:
        if any(chosen.values()) or everything:
            raise click.UsageError("--from names its entries itself: leave out all other choices")
        sys.exit(replay_file(file, format_of(file.name, format_), ledger_pool(), dry_run=dry_run))
    selection = _of_waiting(everything=everything, **chosen)
    ask = everything and not yes and not dry_run and not any(chosen.values())
    sys.exit(replay_selected(selection, ledger_pool(), ask=ask, dry_run=dry_run))


@quarantine.command("discard")
@choosing_entries
@click.option("--all", "everything", is_flag=True, help="Every entry that waits.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def discard(*, everything: bool, dry_run: bool, yes: bool, **chosen: Any) -> None:
    """Give rows up for good; asks first."""
    selection = _of_waiting(everything=everything, **chosen)
    pool = ledger_pool()
    with transaction(pool) as cursor:
        counts = count_by_reason(selection, cursor)
    total = sum(one.entries for one in counts)
    if not total:
        click.echo("no such row waits in the quarantine; nothing was discarded")
        sys.exit(1 if chosen["ids"] else 0)
    for line in summed_up(counts):
        click.echo(line)
    if dry_run:
        click.echo(f"{counted(total, 'row')} would be discarded; nothing was done")
        return
    if not yes:
        click.confirm(f"discard {counted(total, 'row')} for good?", abort=True)
    done, after, last = 0, 0, max(one.last_id for one in counts)
    while True:
        with transaction(pool) as cursor:
            page = read_page(
                *(selection, cursor),
                after=after,
                last=last,
                limit=_DISCARD_PAGE_ENTRIES,
                with_rows=False,
            )
            waiting = lock_open([entry.id for entry in page], cursor)
            done += discard_entries(sorted(waiting), cursor)
        if not page:
            break
        after = page[-1].id
    click.echo(f"{counted(done, 'row')} discarded")


@quarantine.command("export")
@choosing_entries
@of_state(EntryState.QUARANTINED)
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="Default: by the file's name."
)
@click.option(
    "--output", default="-", show_default=True, help="A new file, or - for this terminal."
)
def export(output: str, format_: str | None, **chosen: Any) -> None:
    """Write entries with their rows as CSV or JSON lines, to edit and replay with --from."""
    selection = _selection(**chosen)
    count = 0
    try:
        with (
            click.open_file(output, "x" if output != "-" else "w", encoding="utf-8") as file,
            transaction(ledger_pool()) as cursor,
        ):
            lines = export_to(file, format_of(output, format_))
            for entry in read_all(selection, cursor):
                lines.write(entry)
                count += 1
    except FileExistsError as error:
        raise click.ClickException(
            f"{output} is there already, and may be edited: name a new file"
        ) from error
    click.echo(f"{counted(count, 'row')} exported", err=True)


def _selection(  # noqa: PLR0913 - the choices of the command line
    *,
    ids: Sequence[int],
    jobs: tuple[str, ...],
    targets: tuple[str, ...],
    reason: str | None,
    since: datetime | None,
    until: datetime | None,
    states: Sequence[str],
) -> Selection:
    wanted = None if "any" in states else [*states]
    return Selection(
        several(tuple(ids)), several(jobs), several(targets), reason, since, until, wanted
    )


def _of_waiting(*, everything: bool, **chosen: Any) -> Selection:
    if not everything and not any(chosen.values()):
        raise click.UsageError("which rows? name ids, --job, --target, --reason, a time, or --all")
    return _selection(**chosen, states=[EntryState.QUARANTINED])
