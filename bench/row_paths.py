"""Two ways of rows that came as JSON into a table: one statement, or COPY of CSV made from them.

The rows of ingest jobs are JSON and stay text until the server reads them. COPY is
the faster of the two at reading, but it reads no JSON: somebody has to write CSV first.
"""

import csv
import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgspec
import psycopg2

from bench.files import TABLE
from bench.flights import flights
from bench.servers import Place

_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod)
FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum
"""
_STATEMENT = (
    "INSERT INTO {table} SELECT * FROM json_to_recordset(%s::json) AS row_in ({definitions})"
)
_COPY = "COPY {table} FROM STDIN (FORMAT csv)"

Write = Callable[[Any, str], None]


def rows_per_s(place: Place, way: str, rows_a_batch: int, rows: int) -> float:
    """Insert that many rows in batches, each its own transaction; return rows a second.

    ``way`` is ``statement`` or ``copy``.
    """
    with closing(psycopg2.connect(place.database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_COLUMNS, (TABLE,))
            columns: list[tuple[str, str]] = cursor.fetchall()
            batches = list(_batches(columns, rows_a_batch, rows))
            write = _by_statement(columns) if way == "statement" else _by_copy(columns)
            began = time.monotonic()
            for batch in batches:
                write(cursor, batch)
            return rows / (time.monotonic() - began)


def _batches(columns: list[tuple[str, str]], rows_a_batch: int, rows: int) -> Iterator[str]:
    """Yield JSON arrays of rows as jobs bring them: typed, and null for what is missing."""
    numbers = [type_name in {"smallint", "integer", "bigint"} for _, type_name in columns]
    names = [name for name, _ in columns]
    source = itertools.islice(flights(), 1, None)
    for first in range(1, rows + 1, rows_a_batch):
        found = itertools.islice(source, min(rows_a_batch, rows + 1 - first))
        yield json.dumps(
            [
                {
                    name: None if value == "" else int(value) if is_number else value
                    for name, is_number, value in zip(
                        names, numbers, [str(id_), *flight], strict=True
                    )
                }
                for id_, flight in enumerate(found, first)
            ]
        )


def _by_statement(columns: list[tuple[str, str]]) -> Write:
    definitions = ", ".join(f"{name} {type_name}" for name, type_name in columns)
    text = _STATEMENT.format(table=TABLE, definitions=definitions)
    return lambda cursor, batch: cursor.execute(text, (batch,))


def _by_copy(columns: list[tuple[str, str]]) -> Write:
    names = [name for name, _ in columns]
    text = _COPY.format(table=TABLE)

    def write(cursor: Any, batch: str) -> None:
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows(
            [row[name] for name in names] for row in msgspec.json.decode(batch)
        )
        lines.seek(0)
        cursor.copy_expert(text, lines)

    return write
