"""Read the database as it was at one instant, and stream what a query answers.

Parameters travel as typed literals: COPY and DECLARE take no bound values.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BufferedIOBase

from psycopg2 import extensions, sql

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.parameters import Value, fill
from postgres.statements import compose, statement
from postgres.transaction import Lender, roll_back

#: Type OIDs of smallint, integer, bigint, real, double precision and numeric.
_NUMBERS = frozenset({21, 23, 20, 700, 701, 1700})


@dataclass(frozen=True, slots=True)
class Instant:
    """The instant that a snapshot shows: PostgreSQL's own name for it, and the time."""

    snapshot: str
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer."""

    name: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """The first rows that a query gave, as PostgreSQL prints them, and how many it has in all."""

    columns: tuple[Column, ...]
    rows: list[tuple[str | None, ...]]
    total_rows: int


@contextmanager
def snapshot(pool: Lender) -> Iterator[Cursor]:
    """Yield a cursor whose queries all see one instant; nothing can be written.

    The instant is that of the first query. The transaction is always rolled back.
    """
    with pool.connection() as connection, connection.cursor() as cursor:
        try:
            with refusals(Phase.READ):
                cursor.execute(statement("begin_snapshot"))
            yield cursor
        finally:
            roll_back(connection)


def pin(cursor: Cursor, timeout_seconds: float) -> Instant:
    """Fix the instant of a snapshot now, and bound each query in it to so many seconds."""
    timeout_ms = max(1, round(timeout_seconds * 1000))
    with refusals(Phase.READ):
        cursor.execute(statement("pin_snapshot"), {"timeout_ms": timeout_ms})
        name, taken_at, *_ = cursor.fetchone() or ()
    return Instant(name, taken_at)


def copy_out(
    cursor: Cursor, query: str, parameters: Mapping[str, Value], file: BufferedIOBase
) -> int:
    """Stream the answer of a query into a file as CSV with a header; return its rows.

    Memory stays flat. When it raises, the file holds a part of the answer.
    """
    copy = compose("copy_answer", query=_filled(cursor, query, parameters))
    with refusals(Phase.READ):
        cursor.copy_expert(copy, file)
    return cursor.rowcount


def read_rows(
    cursor: Cursor, query: str, parameters: Mapping[str, Value], limit_rows: int
) -> Answer:
    """Read the first rows of a query and count the others without fetching them."""
    declare = compose("declare_answer", query=_filled(cursor, query, parameters))
    with refusals(Phase.READ):
        cursor.execute(declare)
        cursor.execute(statement("describe_answer"))
        columns = tuple(
            Column(column.name, column.type_code in _NUMBERS) for column in cursor.description or ()
        )
        _read_as_text(cursor)
        cursor.execute(statement("fetch_answer"), {"limit": limit_rows})
        rows = cursor.fetchall()
        cursor.execute(statement("skip_answer"))
        total_rows = len(rows) + cursor.rowcount
        cursor.execute(statement("close_answer"))
    return Answer(columns, rows, total_rows)


def _filled(cursor: Cursor, query: str, parameters: Mapping[str, Value]) -> sql.SQL:
    literals = {name: _literal(cursor, value) for name, value in parameters.items()}
    return sql.SQL(fill(query, literals))


def _literal(cursor: Cursor, value: Value) -> str:
    # The driver knows how this connection escapes; the type is one of an enumeration.
    return f"{sql.Literal(value.text).as_string(cursor)}::{value.type.value}"


def _read_as_text(cursor: Cursor) -> None:
    """Keep what PostgreSQL printed: Python has no year -44, no infinity among its dates."""
    codes = tuple({column.type_code for column in cursor.description or ()})
    as_text = extensions.new_type(codes, "AS_TEXT", lambda text, _cursor: text)
    extensions.register_type(as_text, cursor)
