"""Insert the rows of one target, in as few statements as their shapes allow.

``insert(group, cursor) -> Written`` takes rows that :func:`tasks.fit.fit` made; it has
to run inside a savepoint. ``destination_of(target, row, cursor) -> Destination`` says
where a single one of them goes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from postgres import Cursor
from postgres.errors import Refused
from postgres.insert_rows import Destination, OnConflict, insert_rows
from postgres.provenance import time_zone
from postgres.table import Table
from tasks.fit import TargetRows, note_known_keys, reread_table, see_table, table_of
from tasks.rows import Reason, Row
from tasks.target import Target


@dataclass(frozen=True, slots=True)
class Written:
    """How the rows of one target ended; those not named here were inserted."""

    target: Target
    accounts: Sequence[tuple[Row, str]]
    refused: Sequence[tuple[Row, Reason]]


class TargetRefused(Exception):
    """PostgreSQL refused rows of one target; nothing of the statement was done."""

    def __init__(self, target: Target, refused: Refused) -> None:
        super().__init__(f"target {target.name}: {refused}")
        self.target = target
        self.refused = refused


def insert(group: TargetRows, cursor: Cursor) -> Written:
    """Insert rows that fit.

    Raises :class:`TargetRefused` if PostgreSQL refuses any.
    """
    target = group.target
    try:
        table = see_table(target, cursor)
        with time_zone(target.timezone, cursor):
            accounts = _insert_runs(target, table, group.rows, cursor)
    except Refused as refused:
        raise TargetRefused(target, refused) from refused
    if accounts and target.on_conflict is OnConflict.IGNORE:
        note_known_keys(target)
    return Written(target, accounts, ())


def destination_of(target: Target, row: Row, cursor: Cursor) -> Destination:
    """Say where a row goes and with which columns."""
    return _destination(target, see_table(target, cursor), row)


def columns_to_write(target: Target, table: Table, columns: frozenset[str]) -> tuple[str, ...]:
    """Return the columns to write, in the table's order.

    A column that was left out takes its default; one without a default is
    written as NULL, which is the same and keeps shapes few. Under ``update``
    what a row does not bring stays as it is.
    """
    if target.on_conflict is OnConflict.UPDATE:
        return tuple(column for column in table.columns if column in columns)
    return tuple(
        name for name, column in table.columns.items() if name in columns or not column.has_default
    )


def _destination(target: Target, table: Table, row: Row) -> Destination:
    columns = columns_to_write(target, table, row.columns)
    kept = row.defaulted if target.on_conflict is OnConflict.UPDATE else frozenset()
    return Destination(table, columns, target.key, target.on_conflict, target.newest, kept)


def _insert_runs(
    target: Target, table: Table, rows: Sequence[Row], cursor: Cursor
) -> list[tuple[Row, str]]:
    accounts: list[tuple[Row, str]] = []
    for destination, run in _runs(target, table, rows):
        others = insert_rows(destination, [row.text for row in run], cursor)
        accounts += [(run[position], account) for position, account in others.items()]
    return accounts


def _runs(
    target: Target, table: Table, rows: Sequence[Row]
) -> Iterator[tuple[Destination, list[Row]]]:
    """Split rows by shape; neighbours only, where the order of arrival decides."""
    shapes: dict[tuple[frozenset[str], frozenset[str]], Destination] = {}
    for row in rows:
        if (row.columns, row.defaulted) not in shapes:
            shapes[row.columns, row.defaulted] = _destination(target, table, row)

    def shape(row: Row) -> tuple[tuple[str, ...], list[str]]:
        destination = shapes[row.columns, row.defaulted]
        return destination.columns, sorted(destination.kept)

    if target.on_conflict is OnConflict.ERROR:
        rows = sorted(rows, key=shape)
    for _, run in groupby(rows, key=shape):
        members = list(run)
        yield shapes[members[0].columns, members[0].defaulted], members


__all__ = [
    "TargetRefused",
    "TargetRows",
    "Written",
    "columns_to_write",
    "destination_of",
    "insert",
    "reread_table",
    "see_table",
    "table_of",
]
