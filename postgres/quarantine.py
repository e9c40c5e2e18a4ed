"""Set rows aside, each with its job, its place, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One row that PostgreSQL would not take, as it came."""

    job_id: str
    row_number: int
    target: str
    row: str
    column: str | None
    sqlstate: str
    message: str


def quarantine(rows: Sequence[QuarantinedRow], cursor: Cursor) -> None:
    """Record the rows in the open transaction, that of their neighbours."""
    if not rows:
        return
    parameters = {
        "job_ids": [one.job_id for one in rows],
        "row_numbers": [one.row_number for one in rows],
        "targets": [one.target for one in rows],
        "rows": [one.row for one in rows],
        "columns": [one.column for one in rows],
        "sqlstates": [one.sqlstate for one in rows],
        "messages": [one.message for one in rows],
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("quarantine_rows"), parameters)
