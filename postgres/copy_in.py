"""COPY whole records of CSV into a table, all of them or the readable ones."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

from psycopg2 import sql

from postgres import Connection, Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.insert_rows import KEPT_OUT
from postgres.quiet_copy import quiet_copy
from postgres.statements import compose, names
from postgres.transaction import check_deferred_constraints

#: Bytes that the driver asks for at a time.
_BLOCK_BYTES = 1 << 18
#: Servers from here on read a line of only ``\.`` as data.
_KNOWS_END_MARKER = 180_000
#: Servers from here on leave out records that they cannot read, if asked to.
_LEAVES_OUT = 170_000
#: In whatever language the server speaks: the line is the first number that it tells.
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How the CSV is written, in the words of COPY."""

    delimiter: str
    quote: str
    escape: str
    null: str


@dataclass(frozen=True, slots=True)
class CsvRecords:
    """Whole records, how they are written, and how many the caller counted."""

    form: CsvForm
    data: bytes
    count: int


def misreads_end_marker(cursor: Cursor) -> bool:
    r"""Tell whether this server would take a line of only ``\.`` for the end of a COPY."""
    return bool(cursor.connection.info.server_version < _KNOWS_END_MARKER)


def can_leave_out(cursor: Cursor) -> bool:
    """Tell whether :func:`copy_readable` works on this server."""
    return bool(cursor.connection.info.server_version >= _LEAVES_OUT)


def copy_all(
    into: sql.Identifier, columns: tuple[str, ...], records: CsvRecords, cursor: Cursor
) -> None:
    """Copy all records; raises :class:`Refused` if any is bad, or the server counts others."""
    _copy("copy_rows", into, columns, records, cursor)
    compare(cursor.rowcount, records.count)


def copy_readable(
    into: sql.Identifier, columns: tuple[str, ...], records: CsvRecords, cursor: Cursor
) -> list[int]:
    """Copy the records whose values their columns' types take; return the places of the others.

    Each record has to be one line. Raises :class:`Refused` if one is bad in
    another way, or it is not sure which were left out.
    """
    with _hearing(cursor.connection) as notices:
        _copy("copy_good_rows", into, columns, records, cursor)
        taken = cursor.rowcount
        # The driver hands notices over with the next statement: one that is due anyway.
        check_deferred_constraints(cursor)
    if taken == records.count:
        return []
    # The last one says how many there were.
    found = [_NUMBER.search(notice.partition(":")[2]) for notice in notices[:-1]]
    places = sorted({int(one[0]) - 1 for one in found if one})
    compare(taken + len(places), records.count)
    return places


def compare(taken: int, records: int) -> None:
    """Raise :class:`Refused` unless as many were taken as were sent."""
    if taken != records:
        words = f"{taken} of {records} records went in without an error"
        raise Refused(words, sqlstate=KEPT_OUT, phase=Phase.ROWS)


def _copy(
    name: str,
    into: sql.Identifier,
    columns: tuple[str, ...],
    records: CsvRecords,
    cursor: Cursor,
) -> None:
    form = records.form
    query = compose(
        name,
        table=into,
        columns=names(columns),
        delimiter=sql.Literal(form.delimiter),
        quote=sql.Literal(form.quote),
        escape=sql.Literal(form.escape),
        null=sql.Literal(form.null),
    )
    with refusals(Phase.ROWS), quiet_copy():
        cursor.copy_expert(query, BytesIO(records.data), _BLOCK_BYTES)


class _Notices:
    """The driver keeps fifty notices in a list, and all of them in any other object."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def append(self, notice: str) -> None:
        self.heard.append(notice)


@contextmanager
def _hearing(connection: Connection) -> Iterator[list[str]]:
    before, notices = connection.notices, _Notices()
    connection.notices = notices  # type: ignore[assignment]  # any object with append() will do
    try:
        yield notices.heard
    finally:
        connection.notices = before
