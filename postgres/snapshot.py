"""Read the database as it was at one instant, and stream what a query answers.

Parameters travel as typed literals: COPY and DECLARE take no bound values.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from io import BufferedIOBase

from psycopg2 import extensions, sql

from postgres import Cursor
from postgres.copy_out import copy_out, csv_pieces
from postgres.errors import Phase, Refused, refusals
from postgres.parameters import Value, fill
from postgres.snapshot_cursor import SnapshotCursor, Terms
from postgres.statements import compose, statement
from postgres.transaction import Lender, roll_back

#: How much longer than its queries may take a snapshot may stand still.
_IDLE_MS = 30_000

#: Type OIDs of smallint, integer, bigint, real, double precision and numeric.
_NUMBERS = frozenset({21, 23, 20, 700, 701, 1700})
#: Of a numeric whose digits are declared, and how many scales its type's modifier tells apart.
_MOST_DIGITS = 1000
_SCALES = 1 << 11


@dataclass(frozen=True, slots=True)
class Instant:
    """The instant that a snapshot shows: PostgreSQL's own name for it, and the time."""

    snapshot: str
    taken_at: datetime
    #: Position in the server's log: what the snapshot shows was written before it.
    lsn: str | None = None


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
def snapshot(pool: Lender, terms: Terms | None = None) -> Iterator[SnapshotCursor]:
    """Yield a cursor whose queries all see one instant; nothing can be written.

    The instant is that of the first query. The transaction is always rolled back.
    """
    with (
        pool.connection() as connection,
        connection.cursor(cursor_factory=SnapshotCursor) as cursor,
    ):
        try:
            with refusals(Phase.READ):
                cursor.execute(statement("begin_snapshot"))
            cursor.terms = terms or Terms()
            yield cursor
        finally:
            # A session that is gone has nothing to undo; what was raised before says why.
            with suppress(Refused):
                roll_back(connection)


def pin(cursor: SnapshotCursor, timeout_seconds: float) -> Instant:
    """Fix the instant of a snapshot now, and give all queries in it so many seconds, together."""
    timeout_ms = max(1, round(timeout_seconds * 1000))
    idle_ms = timeout_ms + _IDLE_MS
    with refusals(Phase.READ):
        cursor.execute(statement("pin_snapshot"), {"timeout_ms": timeout_ms, "idle_ms": idle_ms})
        name, taken_at, lsn, *_ = cursor.fetchone() or ()
    cursor.limit(timeout_seconds)
    cursor.limited_by_server(timeout_ms)
    if cursor.terms != Terms():
        _set_terms(cursor, cursor.terms)
    return Instant(name, taken_at, lsn)


def _set_terms(cursor: SnapshotCursor, terms: Terms) -> None:
    lock_ms = None if terms.lock_seconds is None else max(1, round(terms.lock_seconds * 1000))
    parameters = {"lock_ms": lock_ms, "work_mem": terms.work_mem, "role": terms.role}
    try:
        with refusals(Phase.CONNECT):
            cursor.execute(statement("set_terms"), parameters)
    except Refused as error:
        # No report is to blame: they all wait until an operator has mended the settings.
        words = f"reports cannot be read as set, REPORT_ROLE or REPORT_WORK_MEM: {error.message}"
        raise Refused(words, sqlstate=None, phase=Phase.CONNECT) from error


class Query:
    """The rows of one statement in an open snapshot, read once in the way that suits its reader.

    Memory stays flat in each way. A file that raised while it was written holds a part.
    """

    def __init__(self, cursor: Cursor, query: str, parameters: Mapping[str, Value]) -> None:
        self._cursor = cursor
        self._query = _filled(cursor, query, parameters)
        # What a query gives does not depend on its values; in one snapshot it is asked for once.
        self._form = (query, *((name, one.type_name) for name, one in sorted(parameters.items())))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns, with the types that PostgreSQL gave them."""
        known: dict[object, tuple[Column, ...]] = getattr(self._cursor, "known_columns", {})
        if self._form not in known:
            with self._declared():
                known[self._form] = self._described()
        return known[self._form]

    def copy_csv(self, file: BufferedIOBase) -> int:
        """Write all rows as CSV with a header, NULL bare and '' quoted; return their number."""
        return copy_out(self._cursor, self._copy(header=True), file)

    def csv_pieces(self, piece_bytes: int) -> Generator[bytes, None, None]:
        """Yield all rows as ``copy_csv`` has them, without a header, in pieces of whole records."""
        return csv_pieces(self._cursor, self._copy(header=False), piece_bytes)

    def copy_json_lines(self, file: BufferedIOBase) -> int:
        """Write all rows as JSON objects, one a line, as PostgreSQL makes JSON of its values."""
        return copy_out(self._cursor, compose("copy_json_lines", query=self._query), file)

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

    def _copy(self, *, header: bool) -> sql.Composed:
        return compose("copy_answer", query=self._query, header=sql.Literal(header))

    @contextmanager
    def _declared(self) -> Iterator[None]:
        with refusals(Phase.READ):
            declare = compose("declare_answer", query=self._query)
            # Together they are one round trip; what comes back is the answer of the last.
            self._cursor.execute(declare + sql.SQL(";\n") + sql.SQL(statement("describe_answer")))
        self.__dict__["columns"] = self._described()
        _read_as_text(self._cursor)
        yield
        with refusals(Phase.READ):
            self._cursor.execute(statement("close_answer"))

    def _described(self) -> tuple[Column, ...]:
        return tuple(
            Column(one.name, one.type_code, *_digits(one)) for one in self._cursor.description or ()
        )

    def _fetch(self, limit_rows: int) -> list[tuple[str | None, ...]]:
        with refusals(Phase.READ):
            self._cursor.execute(statement("fetch_answer"), {"limit": limit_rows})
            return self._cursor.fetchall()


def _digits(column: extensions.Column) -> tuple[int | None, int | None]:
    """Return precision and scale, where they are declared; a scale may be less than 0."""
    if column.precision is None or column.scale is None or column.precision > _MOST_DIGITS:
        return None, None
    # The driver knows no scale below 0, which is stored as 11 bits with a sign.
    return column.precision, column.scale - (_SCALES if column.scale >= _SCALES // 2 else 0)


def _filled(cursor: Cursor, query: str, parameters: Mapping[str, Value]) -> sql.SQL:
    literals = {name: _literal(cursor, value) for name, value in parameters.items()}
    return sql.SQL(fill(query, literals))


def _literal(cursor: Cursor, value: Value) -> str:
    # The driver knows how this connection escapes; the type is one of an enumeration.
    return f"{sql.Literal(value.text).as_string(cursor)}::{value.type_name}"


def _read_as_text(cursor: Cursor) -> None:
    """Keep what PostgreSQL printed: Python has no year -44, no infinity among its dates."""
    codes = tuple({column.type_code for column in cursor.description or ()})
    as_text = extensions.new_type(codes, "AS_TEXT", lambda text, _cursor: text)
    extensions.register_type(as_text, cursor)
