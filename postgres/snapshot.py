"""Read the database as it was at one instant, and stream what a query answers.

Parameters travel as typed literals: COPY and DECLARE take no bound values.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
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
    """A column of an answer, and the OID of its type."""

    name: str
    type_oid: int
    precision: int | None = None
    scale: int | None = None

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers, to be lined up at their right."""
        return self.type_oid in _NUMBERS


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


class Query:
    """The rows of one statement in an open snapshot, read once in the way that suits its reader.

    Memory stays flat in each way. A file that raised while it was written holds a part.
    """

    def __init__(self, cursor: Cursor, query: str, parameters: Mapping[str, Value]) -> None:
        self._cursor = cursor
        self._query = _filled(cursor, query, parameters)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns, with the types that PostgreSQL gave them."""
        with self._declared():
            return self._described()

    def copy_csv(self, file: BufferedIOBase) -> int:
        """Write all rows as CSV with a header, NULL bare and '' quoted; return their number."""
        with refusals(Phase.READ):
            self._cursor.copy_expert(compose("copy_answer", query=self._query), file)
        return self._cursor.rowcount

    def batches(self, batch_rows: int) -> Iterator[Sequence[tuple[str | None, ...]]]:
        """Yield all rows, as PostgreSQL prints them, so many at a time."""
        with self._declared():
            while rows := self._fetch(batch_rows):
                yield rows

    def first(self, limit_rows: int) -> tuple[Sequence[tuple[str | None, ...]], int]:
        """Return the first rows, and how many there are in all without fetching the others."""
        with self._declared():
            rows = self._fetch(limit_rows)
            with refusals(Phase.READ):
                self._cursor.execute(statement("skip_answer"))
            return rows, len(rows) + self._cursor.rowcount

    @contextmanager
    def _declared(self) -> Iterator[None]:
        with refusals(Phase.READ):
            self._cursor.execute(compose("declare_answer", query=self._query))
            self._cursor.execute(statement("describe_answer"))
        self.__dict__["columns"] = self._described()
        _read_as_text(self._cursor)
        yield
        with refusals(Phase.READ):
            self._cursor.execute(statement("close_answer"))

    def _described(self) -> tuple[Column, ...]:
        return tuple(
            Column(one.name, one.type_code, one.precision, one.scale)
            for one in self._cursor.description or ()
        )

    def _fetch(self, limit_rows: int) -> list[tuple[str | None, ...]]:
        with refusals(Phase.READ):
            self._cursor.execute(statement("fetch_answer"), {"limit": limit_rows})
            return self._cursor.fetchall()


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
