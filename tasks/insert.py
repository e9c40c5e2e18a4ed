"""Insert the rows of one target, in as few statements as their shapes allow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from postgres import Cursor
from postgres.errors import Refused
from postgres.insert_rows import Destination, OnConflict, insert_rows
from postgres.table import Table, Tables
from tasks.kind import Look
from tasks.rows import Reason, Row
from tasks.targets import Target

_UNDEFINED_COLUMN = "42703"
_NOT_NULL_VIOLATION = "23502"


@dataclass(frozen=True, slots=True)
class TargetRows:
    """Rows for one target, in arrival order."""

    target: Target
    rows: Sequence[Row]


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


#: The tables that this process has seen.
_tables = Tables()


def insert(group: TargetRows, cursor: Cursor) -> Written:
    """Insert the rows; those that do not fit the table's columns come back refused.

    Raises :class:`TargetRefused` if PostgreSQL refuses any of the others.
    """
    try:
        table, misfits = _fit(group, cursor)
        fitting = [row for row in group.rows if row not in misfits] if misfits else group.rows
        accounts = _insert_runs(group.target, table, fitting, cursor)
    except Refused as refused:
        raise TargetRefused(group.target, refused) from refused
    return Written(group.target, accounts, list(misfits.items()))


def destination_of(target: Target, row: Row, cursor: Cursor) -> Destination:
    """Say where a row goes and with which columns."""
    table = _tables.describe(target.schema, target.table, cursor)
    return Destination(
        table, columns_to_write(target, table, row.columns), target.key, target.on_conflict
    )


def table_of(target: Target, look: Look) -> Table:
    """Return the target's table as this process knows it, or else as a look shows it."""
    known = _tables.known(target.schema, target.table)
    if known is not None:
        return known
    with look() as cursor:
        return _tables.describe(target.schema, target.table, cursor)


def reread_table(target: Target) -> None:
    """Look at the table again before the next use."""
    _tables.forget(target.schema, target.table)


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


def _fit(group: TargetRows, cursor: Cursor) -> tuple[Table, dict[Row, Reason]]:
    target = group.target
    table = _tables.describe(target.schema, target.table, cursor)
    misfits = _misfits(target, table, group.rows)
    if misfits and _tables.forget(target.schema, target.table):
        # Perhaps the column is new: believe the database, not our memory of it.
        table = _tables.describe(target.schema, target.table, cursor)
        misfits = _misfits(target, table, group.rows)
    return table, misfits


def _misfits(target: Target, table: Table, rows: Sequence[Row]) -> dict[Row, Reason]:
    known = table.columns.keys()
    needed = frozenset() if target.on_conflict is OnConflict.ERROR else frozenset(target.key)
    misfits = {}
    for row in rows:
        if not row.columns <= known:
            misfits[row] = _unknown_column(target, min(row.columns - known))
        elif not needed <= row.columns:
            misfits[row] = _missing_key(target, min(needed - row.columns))
    return misfits


def _unknown_column(target: Target, column: str) -> Reason:
    message = f'column "{column}" of target "{target.name}" does not exist'
    return Reason(_UNDEFINED_COLUMN, message, column)


def _missing_key(target: Target, column: str) -> Reason:
    message = f'column "{column}" is part of the key of target "{target.name}" and is missing'
    return Reason(_NOT_NULL_VIOLATION, message, column)


def _insert_runs(
    target: Target, table: Table, rows: Sequence[Row], cursor: Cursor
) -> list[tuple[Row, str]]:
    accounts: list[tuple[Row, str]] = []
    for columns, run in _runs(target, table, rows):
        destination = Destination(table, columns, target.key, target.on_conflict)
        others = insert_rows(destination, [row.text for row in run], cursor)
        accounts += [(run[position], account) for position, account in others.items()]
    return accounts


def _runs(
    target: Target, table: Table, rows: Sequence[Row]
) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """Split rows by shape; neighbours only, where the order of arrival decides."""
    shapes = {
        columns: columns_to_write(target, table, columns)
        for columns in {row.columns for row in rows}
    }
    if target.on_conflict is OnConflict.ERROR:
        rows = sorted(rows, key=lambda row: shapes[row.columns])
    for columns, run in groupby(rows, key=lambda row: shapes[row.columns]):
        yield columns, list(run)
