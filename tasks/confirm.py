"""Let PostgreSQL say of rows that look bad why each of them is refused."""

from collections.abc import Mapping, Sequence

from postgres import Cursor
from postgres.bad_column import bad_column, is_of_a_value
from postgres.bad_rules import can_be_asked
from postgres.bad_values import BadValue
from postgres.errors import Refused
from tasks.find_bad_rows import find_values, try_each
from tasks.insert import destination_of
from tasks.rows import Reason, Row
from tasks.target import Target


def confirm(target: Target, rows: Sequence[Row], cursor: Cursor) -> list[tuple[Row, Reason]] | None:
    """Return why each row is refused after what is there; None if one of them is taken.

    Nothing is written. Raises :class:`TargetRefused` for what is no fault of a row.
    """
    refused = try_each(target, rows, cursor)
    if len(refused) < len(rows):
        return None
    unreadable = [row for row, refusal in refused.items() if is_of_a_value(refusal)]
    values: Mapping[Row, BadValue] = {}
    if unreadable and can_be_asked(cursor):
        values = find_values(target, unreadable, cursor)
    return [
        (row, reason_of(target, row, refusal, values.get(row), cursor))
        for row, refusal in refused.items()
    ]


def reason_of(
    target: Target, row: Row, refused: Refused, value: BadValue | None, cursor: Cursor
) -> Reason:
    """Return PostgreSQL's words with the column they are about, which ``value`` may tell."""
    said = (refused.sqlstate, refused.message)
    if value and value.column and said == (value.sqlstate, value.message):
        column: str | None = value.column
    else:
        column = bad_column(destination_of(target, row, cursor), row.text, refused, cursor)
    return Reason(refused.sqlstate or "", refused.message, column)
