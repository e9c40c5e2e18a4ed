"""Set rows aside, each with its job, its place, and why."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.lone_surrogates import unmask
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
    #: Columns whose values were masked, see :mod:`tasks.redact`.
    redacted: tuple[str, ...] = ()


def quarantine(rows: Sequence[QuarantinedRow], cursor: Cursor) -> None:
    """Record the rows in the open transaction, that of their neighbours.

    Names and words may quote what a row brought, and a NUL cannot be stored.
    """
    if not rows:
        return
    parameters = {
        "job_ids": [one.job_id for one in rows],
        "row_numbers": [one.row_number for one in rows],
        "targets": [one.target for one in rows],
        "rows": [unmask(one.row) for one in rows],
        "columns": [one.column and _storable(one.column) for one in rows],
        "sqlstates": [one.sqlstate for one in rows],
        "messages": [_storable(one.message) for one in rows],
        # As JSON: an array of arrays would need all of them to be of one length.
        "redacted": [json.dumps(one.redacted) if one.redacted else None for one in rows],
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("quarantine_rows"), parameters)


def _storable(text: str) -> str:
    return unmask(text.replace("\0", "\\u0000"))
