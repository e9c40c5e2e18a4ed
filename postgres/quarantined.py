"""Find what was set aside, page by page, and give it up."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import compose, statement

#: Bounds of one page: entries, and bytes of rows after which no further entry is read.
PAGE_ENTRIES = 500
PAGE_BYTES = 4 * 1024 * 1024

_LAST = 2**63 - 1


class EntryState(StrEnum):
    """Where an entry of the quarantine is; ``docs/quarantine.md`` draws the moves."""

    #: Waits for somebody to decide.
    QUARANTINED = "quarantined"
    #: A job that carries its row is under way.
    REPLAYING = "replaying"
    #: Its row is committed.
    REPLAYED = "replayed"
    #: Its row was refused again, and waits as a later entry.
    SUPERSEDED = "superseded"
    #: Somebody gave it up.
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries are meant: all that agree with everything that is not None.

    ``reason`` is a SQLSTATE or a part of the message. A time counts if
    ``since`` <= time < ``until``.
    """

    ids: Sequence[int] | None = None
    jobs: Sequence[str] | None = None
    targets: Sequence[str] | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    states: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """One row that was set aside, as the database has it; ``row`` is JSON text, if asked for."""

    id: int
    job_id: str
    row_number: int
    target: str
    row: str | None
    column: str | None
    sqlstate: str
    message: str
    created_at: datetime
    state: EntryState
    replay_job: str | None
    #: The earlier entry that this one supersedes, and the later one that supersedes this.
    replay_of: int | None
    closed_at: datetime | None
    #: Columns whose values were masked.
    redacted: tuple[str, ...]
    superseded_by: int | None


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many entries of a target share a reason, with the message of the first of them."""

    target: str
    sqlstate: str
    column: str | None
    state: EntryState
    message: str
    entries: int
    oldest: datetime
    newest: datetime
    last_id: int


def read_page(  # noqa: PLR0913 - the bounds of one page
    selection: Selection,
    cursor: Cursor,
    *,
    after: int = 0,
    last: int = _LAST,
    limit: int = PAGE_ENTRIES,
    with_rows: bool = True,
) -> list[QuarantineEntry]:
    """Return the next entries after an id, in the order of their ids; none at the end.

    A page has fewer than ``limit`` when its rows are large.
    """
    parameters = _parameters(selection) | {
        "after": after,
        "last": last,
        "limit": limit,
        "bytes": PAGE_BYTES,
        "with_rows": with_rows,
    }
    with refusals(Phase.READ):
        cursor.execute(compose("read_quarantined", selected=_selected()), parameters)
        return [_entry(*row) for row in cursor.fetchall()]


def read_all(
    selection: Selection, cursor: Cursor, *, limit: int | None = None, with_rows: bool = True
) -> Iterator[QuarantineEntry]:
    """Yield the entries in the order of their ids, holding one page at a time."""
    after, left = 0, limit
    while left is None or left > 0:
        size = PAGE_ENTRIES if left is None else min(left, PAGE_ENTRIES)
        page = read_page(selection, cursor, after=after, limit=size, with_rows=with_rows)
        if not page:
            return
        yield from page
        after = page[-1].id
        left = None if left is None else left - len(page)


def count_by_reason(selection: Selection, cursor: Cursor) -> list[ReasonCount]:
    """Count the entries by target, reason and state, the most frequent of a target first."""
    with refusals(Phase.READ):
        cursor.execute(compose("count_quarantined", selected=_selected()), _parameters(selection))
        return [
            ReasonCount(target, sqlstate, column, EntryState(state), *rest)
            for target, sqlstate, column, state, *rest in cursor.fetchall()
        ]


def lock_open(ids: Sequence[int], cursor: Cursor) -> set[int]:
    """Return which of the entries still wait; nobody else decides on them until we commit."""
    with refusals(Phase.READ):
        cursor.execute(statement("lock_quarantined"), {"ids": list(ids)})
        return {id_ for (id_,) in cursor.fetchall()}


def discard_entries(ids: Sequence[int], cursor: Cursor) -> int:
    """Give entries up; return how many, for only those that still wait can be."""
    with refusals(Phase.RECORD):
        cursor.execute(statement("discard_quarantined"), {"ids": list(ids)})
    return cursor.rowcount


def _selected() -> sql.Composable:
    return sql.SQL(statement("select_quarantined"))


def _parameters(selection: Selection) -> dict[str, object]:
    given = asdict(selection)
    for name in ("ids", "jobs", "targets", "states"):
        given[name] = None if given[name] is None else [*given[name]]
    return given


def _entry(*columns: Any) -> QuarantineEntry:
    *head, state, replay_job, replay_of, closed_at, redacted, later = columns
    return QuarantineEntry(
        *(*head, EntryState(state), replay_job, replay_of, closed_at, tuple(redacted), later)
    )
