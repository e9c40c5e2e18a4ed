"""Say for a whole file which fields feed which columns, as :mod:`tasks.mapping` does for rows."""

from collections.abc import Sequence

import msgspec

from postgres import Cursor
from postgres.errors import Phase, Refused
from postgres.insert_rows import Destination, OnConflict
from postgres.provenance import transaction_number
from postgres.stage import Feed
from postgres.table import Table
from tasks.fit import mismatches
from tasks.mapping import Intake
from tasks.target import Target

_OBJECT_NOT_IN_STATE = "55000"
_UNDEFINED_COLUMN = "42703"


def refuse_members(target: Target, table: Table, members: Sequence[str]) -> str | None:
    """Say why records with these members can never go into the table; None if they can."""
    intake = Intake.of(target, table.columns)
    unknown = [name for name in members if intake.column_of(name) is None]
    if unknown and not (target.ignores_unknown or target.unknown_column):
        fed = ", ".join(intake.feeds)
        return (
            f"the file has a column {unknown[0]!r}, which target {target.name} does not know; "
            f"it knows: {fed}"
        )
    fed_columns = {intake.column_of(name) for name in members} | {
        *intake.defaults,
        *intake.constants,
    }
    missing = sorted(target.needed - fed_columns)
    if missing:
        return f"the file has no column {missing[0]!r}, which target {target.name} needs"
    return None


def feed_of(
    target: Target, table: Table, members: Sequence[str], job_id: str, cursor: Cursor
) -> tuple[Destination, Feed]:
    """Return what records with these members write, and how.

    Raises :class:`Refused` (55000, 42703) if the table is not what the target says, or no
    such record fits it.
    """
    wrong = mismatches(target, table)
    if wrong:
        raise Refused("; ".join(wrong), sqlstate=_OBJECT_NOT_IN_STATE, phase=Phase.ROWS)
    words = refuse_members(target, table, members)
    if words:
        raise Refused(words, sqlstate=_UNDEFINED_COLUMN, phase=Phase.ROWS)
    intake = Intake.of(target, table.columns)
    columns = tuple(map(intake.column_of, members))
    defaults = {name: raw for name, raw in intake.defaults.items() if name not in columns}
    literals = {name: str(raw, "utf-8") for name, raw in {**defaults, **intake.constants}.items()}
    if target.job_column:
        literals[target.job_column] = msgspec.json.encode(job_id).decode()
    if target.batch_column:
        literals[target.batch_column] = transaction_number(cursor)
    feed = Feed(members, columns, target.unknown_column, literals)
    kept = frozenset(defaults) if target.on_conflict is OnConflict.UPDATE else frozenset()
    destination = Destination(
        table, feed.written, target.key, target.on_conflict, target.newest, kept
    )
    return destination, feed
