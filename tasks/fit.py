"""Fit rows to the table that a target names, as the database describes it now.

``see_table(target, cursor) -> Table`` is what this process knows, or a first look;
``mismatches(target, table) -> list[str]`` says what a declaration asks for that the
table does not have. ``fit(group, cursor) -> Fitted`` is what :mod:`tasks.write_rows`
does with rows before they go in: mapped, and without those that do not fit.
"""

import time
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import msgspec

from postgres import Cursor
from postgres.errors import Phase, Refused
from postgres.insert_rows import OnConflict
from postgres.provenance import transaction_number
from postgres.table import Table, Tables
from tasks.kind import Look
from tasks.mapping import Intake, Mapped, Members
from tasks.rows import Reason, Row, members_of
from tasks.target import Target

_UNDEFINED_COLUMN = "42703"
_NOT_NULL_VIOLATION = "23502"
_OBJECT_NOT_IN_STATE = "55000"
_JSON = frozenset({"json", "jsonb"})

#: How long a target that met a key it knew is expected to meet more of them.
_REMEMBERED_SECONDS = 1.0

#: The tables that this process has seen.
_tables = Tables()

#: When a target last ignored a row, by the clock that never goes back.
_ignored_at: dict[Target, float] = {}


@dataclass(frozen=True, slots=True)
class TargetRows:
    """Rows for one target, in arrival order."""

    target: Target
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Fitted:
    """Rows as their table takes them, and those that do not fit, as they came."""

    table: Table
    group: TargetRows
    misfits: dict[Row, Reason]


def fit(group: TargetRows, cursor: Cursor) -> Fitted:
    """Return the rows by the table's columns.

    Raises :class:`Refused` (class 42, 55000) if the table is gone, or is not what the target says.
    """
    target = group.target
    was_known = _tables.known(target.schema, target.table) is not None
    fitted = _fit(group, cursor)
    if was_known and (fitted.misfits or mismatches(target, fitted.table)):
        # Perhaps the column is new: believe the database, not our memory of it.
        reread_table(target)
        fitted = _fit(group, cursor)
    wrong = mismatches(target, fitted.table)
    if wrong:
        raise Refused("; ".join(wrong), sqlstate=_OBJECT_NOT_IN_STATE, phase=Phase.ROWS)
    return fitted


def see_table(target: Target, cursor: Cursor) -> Table:
    """Return the target's table as this process knows it, or else as the database shows it."""
    return _tables.describe(target.schema, target.table, cursor)


def table_of(target: Target, look: Look) -> Table:
    """Return the target's table as this process knows it, or else as a look shows it."""
    known = _tables.known(target.schema, target.table)
    if known is not None:
        return known
    with look() as cursor:
        return see_table(target, cursor)


def reread_table(target: Target) -> None:
    """Look at the table again before the next use."""
    _tables.forget(target.schema, target.table)


def forget_tables() -> None:
    """Forget every table: this process may serve another database now."""
    _tables.forget_all()
    _ignored_at.clear()


def note_known_keys(target: Target) -> None:
    """Remember that rows of the target were ignored just now."""
    _ignored_at[target] = time.monotonic()


def meets_known_keys(target: Target) -> bool:
    """Tell whether rows of the target were ignored just now: a plain insert would be refused."""
    last = _ignored_at.get(target)
    return last is not None and time.monotonic() - last < _REMEMBERED_SECONDS


def mismatches(target: Target, table: Table) -> list[str]:
    """Say what the declaration asks of the table that it does not have, with the remedy."""
    return [*_missing_columns(target, table), *_unfit_relation(target, table)]


def _missing_columns(target: Target, table: Table) -> Iterator[str]:
    place = f"{target.schema}.{target.table}"
    for column, entry in target.named_columns.items():
        if column not in table.columns:
            yield (
                f'target {target.name}: {entry} names column "{column}", '
                f"which {place} does not have: correct the entry or add the column"
            )
    rest = target.unknown_column
    if rest is not None and rest in table.columns and table.columns[rest].type not in _JSON:
        yield (
            f'target {target.name}: unknown names column "{rest}" of type '
            f"{table.columns[rest].type}: name one of type jsonb"
        )


def _unfit_relation(target: Target, table: Table) -> Iterator[str]:
    if table.is_triggered and target.on_conflict is not OnConflict.ERROR:
        yield (
            f"target {target.name}: {target.schema}.{target.table} is a view with a trigger, "
            f'which knows no ON CONFLICT: write on_conflict = "error"'
        )


def _fit(group: TargetRows, cursor: Cursor) -> Fitted:
    target = group.target
    table = see_table(target, cursor)
    intake = Intake.of(target, table.columns)
    found = _mapped(group, intake, cursor) if intake.is_needed else _as_they_came(group, table)
    rows, misfits = found
    return Fitted(table, TargetRows(target, rows), misfits)


def _as_they_came(group: TargetRows, table: Table) -> tuple[Sequence[Row], dict[Row, Reason]]:
    target, known = group.target, table.columns.keys()
    rows: Sequence[Row] = group.rows
    if target.ignores_unknown:
        rows = [
            row if row.columns <= known else replace(row, columns=row.columns.intersection(known))
            for row in rows
        ]
    misfits = {}
    for row in rows:
        reason = _misfit(target, row.columns, row.columns - known)
        if reason:
            misfits[row] = reason
    if misfits:
        rows = [row for row in rows if row not in misfits]
    return rows, misfits


def _mapped(
    group: TargetRows, intake: Intake, cursor: Cursor
) -> tuple[Sequence[Row], dict[Row, Reason]]:
    target = group.target
    batch = transaction_number(cursor) if target.batch_column else ""
    rows, misfits = [], {}
    for row in group.rows:
        mapped = intake.map(members_of(row.came), _provenance(target, row.job_id, batch))
        reason = _misfit(target, mapped.members.keys(), mapped.unknown)
        if reason:
            misfits[row] = reason
        else:
            rows.append(_row(row, mapped))
    return rows, misfits


def _row(row: Row, mapped: Mapped) -> Row:
    text = msgspec.json.encode(mapped.members).decode()
    columns = frozenset(mapped.members)
    return Row(row.job_id, row.number, text, columns, mapped.defaulted, row.came)


def _provenance(target: Target, job_id: str, batch: str) -> Members:
    members = {}
    if target.job_column:
        members[target.job_column] = msgspec.Raw(msgspec.json.encode(job_id))
    if target.batch_column:
        members[target.batch_column] = msgspec.Raw(batch.encode())
    return members


def _misfit(target: Target, columns: AbstractSet[str], unknown: AbstractSet[str]) -> Reason | None:
    if unknown:
        column = min(unknown)
        message = f'column "{column}" of target "{target.name}" does not exist'
        return Reason(_UNDEFINED_COLUMN, message, column)
    missing = target.needed - columns
    if missing:
        column = min(missing)
        message = f'column "{column}" is needed by target "{target.name}" and is missing'
        return Reason(_NOT_NULL_VIOLATION, message, column)
    return None
