"""Replay what an operator chose, page by page; say what was done and what could not be."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
import msgspec

from postgres import Cursor
from postgres.quarantined import (
    PAGE_BYTES,
    EntryState,
    QuarantineEntry,
    Selection,
    count_by_reason,
    read_all,
    read_page,
)
from postgres.replay import close_ended_replays
from postgres.transaction import Lender, transaction
from tasks.redact import MASK
from worker.commands.exchange import BadFile, EditedRow, read_edited
from worker.commands.layout import counted
from worker.replay import MOST_ROWS, ReplayRow, replay, why_not

#: Mistakes that are told of, one by one.
_TOLD = 20
_NOTHING_DONE = "nothing was replayed"


@dataclass(slots=True)
class _Tally:
    """What was done so far."""

    rows: int = 0
    jobs: int = 0
    mistakes: list[str] = field(default_factory=list)
    targets: Counter[str] = field(default_factory=Counter)

    def send(self, rows: list[ReplayRow], pool: Lender, *, dry_run: bool) -> None:
        self.targets.update(row.target for row in rows)
        if dry_run or not rows:
            return
        done = replay(rows, pool)
        self.rows += done.rows
        self.jobs += done.jobs
        self.mistakes += [f"entry {id_} was taken by somebody else meanwhile" for id_ in done.taken]

    def conclude(self, *, dry_run: bool) -> int:
        """Say it, and return the exit status."""
        if dry_run:
            for target, rows in sorted(self.targets.items()):
                click.echo(f"{counted(rows, 'row')} of {target} would be replayed")
            click.echo("nothing was done")
        elif self.rows:
            click.echo(
                f"{counted(self.rows, 'row')} enqueued in {counted(self.jobs, 'job')}; each entry "
                "is closed when its row is committed: "
                "see `python -m worker quarantine list --state replaying`"
            )
        return _tell(self.mistakes)


def replay_selected(selection: Selection, pool: Lender, *, ask: bool, dry_run: bool) -> int:
    """Replay the rows as they came; return the exit status."""
    with transaction(pool) as cursor:
        close_ended_replays(cursor)
        counts = count_by_reason(selection, cursor)
        mistakes = _not_waiting(selection, cursor)
    total = sum(one.entries for one in counts)
    if mistakes:
        click.echo(_NOTHING_DONE, err=True)
        return _tell(mistakes)
    if not total:
        click.echo(f"no such row waits in the quarantine; {_NOTHING_DONE}")
        return 0
    if ask:
        click.confirm(f"replay {counted(total, 'row')}?", abort=True)
    # Up to here: what is refused again meanwhile is another entry, for another time.
    last, after, tally = max(one.last_id for one in counts), 0, _Tally()
    while True:
        with transaction(pool) as cursor:
            page = read_page(selection, cursor, after=after, last=last, limit=MOST_ROWS)
        if not page:
            return tally.conclude(dry_run=dry_run)
        after = page[-1].id
        tally.mistakes += [f"entry {one.id}: {why}" for one in page if (why := _why_not(one))]
        rows = [ReplayRow(one.id, one.target, one.row or "") for one in page if not _why_not(one)]
        tally.send(rows, pool, dry_run=dry_run)


def replay_file(path: Path, format_: str, pool: Lender, *, dry_run: bool) -> int:
    """Replay rows as a file has them; return the exit status. One mistake refuses all of it."""
    try:
        with transaction(pool) as cursor:
            close_ended_replays(cursor)
        targets, mistakes = _check(path, format_, pool)
        if mistakes:
            click.echo(f"{path}: {_NOTHING_DONE}", err=True)
            return _tell(mistakes)
        tally = _Tally()
        for page in _pages(read_edited(path, format_)):
            rows = [ReplayRow(one.entry_id, targets[one.entry_id], one.row) for one in page]
            tally.send(rows, pool, dry_run=dry_run)
        if not targets:
            click.echo(f"{path} holds no row; {_NOTHING_DONE}")
        return tally.conclude(dry_run=dry_run)
    except BadFile as error:
        raise click.ClickException(str(error)) from error


def _check(path: Path, format_: str, pool: Lender) -> tuple[Mapping[int, str], list[str]]:
    """Return the target of each entry that a file names, and what is wrong with any of them."""
    targets: dict[int, str] = {}
    mistakes: list[str] = []
    for page in _pages(read_edited(path, format_)):
        with transaction(pool) as cursor:
            selection = Selection(ids=[one.entry_id for one in page])
            entries = {one.id: one for one in read_all(selection, cursor, with_rows=False)}
        for one in page:
            where = f"line {one.line}, entry {one.entry_id}"
            entry = entries.get(one.entry_id)
            why = "it was named before" if one.entry_id in targets else _why_not_edited(one, entry)
            if why:
                mistakes.append(f"{where}: {why}")
            if entry is not None:
                targets[one.entry_id] = entry.target
    return targets, mistakes


def _why_not_edited(edited: EditedRow, entry: QuarantineEntry | None) -> str | None:
    if entry is None:
        return "there is none in the quarantine"
    if entry.state is not EntryState.QUARANTINED:
        return f"it is {entry.state} by now"
    return why_not(edited.row, entry.target) or _why_masked(edited.row, entry)


def _why_not(entry: QuarantineEntry) -> str | None:
    row = entry.row or ""
    return _why_masked(row, entry) or why_not(row, entry.target)


def _why_masked(row: str, entry: QuarantineEntry) -> str | None:
    """Say which values are still masked; the target must not get the mask."""
    if not entry.redacted:
        return None
    try:
        members = msgspec.json.decode(row)
    except (msgspec.DecodeError, RecursionError):
        members = None
    if isinstance(members, dict):
        masked = [name for name in entry.redacted if members.get(name) == MASK]
    else:
        masked = [*entry.redacted]
    if not masked:
        return None
    return f"{', '.join(masked)} is redacted: export it, put in the value, and use --from"


def _not_waiting(selection: Selection, cursor: Cursor) -> list[str]:
    """Name the entries that were asked for by id and do not wait."""
    if not selection.ids:
        return []
    mistakes = []
    for id_ in selection.ids:
        found = read_page(Selection(ids=[id_]), cursor, with_rows=False)
        if not found:
            mistakes.append(f"there is no entry {id_} in the quarantine")
        elif found[0].state is not EntryState.QUARANTINED:
            later = f" by entry {found[0].superseded_by}" if found[0].superseded_by else ""
            mistakes.append(f"entry {id_} is {found[0].state}{later}: nothing to replay")
    return mistakes


def _pages(rows: Iterable[EditedRow]) -> Iterator[list[EditedRow]]:
    page: list[EditedRow] = []
    size = 0
    for row in rows:
        page.append(row)
        size += len(row.row)
        if len(page) == MOST_ROWS or size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def _tell(mistakes: list[str]) -> int:
    """Say what went wrong; return the exit status."""
    for one in mistakes[:_TOLD]:
        click.echo(f"error: {one}", err=True)
    if len(mistakes) > _TOLD:
        click.echo(f"error: and {counted(len(mistakes) - _TOLD, 'more', 'more')}", err=True)
    return 1 if mistakes else 0
