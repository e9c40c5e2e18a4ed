"""What is read from files is what PostgreSQL's own COPY reads from them."""

import io
from contextlib import closing, suppress
from pathlib import Path

import psycopg2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.files import BadFile, Chunk
from tests.files import Read, read, write

_COPY = "COPY pg_temp.two (a, b) FROM STDIN (FORMAT csv, ESCAPE '{escape}', NULL '{null}')"
_TABLE = "CREATE TEMP TABLE two (number serial, a text, b text)"

_WILD = st.text(st.sampled_from('ab,"\\\n\r.N'), max_size=30)
_TIDY = st.lists(
    st.sampled_from(['x,"y"', '"p\nq",', ',""', '"a""b",c', "\\N,\\.", '"a",b,c', "z"])
)


_DIALECTS = st.fixed_dictionaries(
    {"escape": st.sampled_from(['"', "\\"]), "null": st.sampled_from(["", "\\N"])}
)
_PLAIN = {"escape": '"', "null": ""}


def test_records_are_those_of_copy(empty_database: str, tmp_path: Path) -> None:
    """COPY refuses a chunk with a bad record, and else finds the same number and values."""

    @settings(max_examples=100, deadline=None)
    @given(_WILD | _TIDY.map("\n".join), st.integers(1, 20), _DIALECTS)
    @example('a"b,c\nd"e,f\n', 20, _PLAIN)
    @example("a,b\r\nc,d\r\n", 3, _PLAIN)
    @example('"a\\"\n",b\n', 3, {"escape": "\\", "null": ""})
    def compare(text: str, budget: int, dialect: dict[str, str]) -> None:
        path = write(tmp_path / "a.csv", text)
        options = {**dialect, "columns": ["a", "b"], "header": False}
        with suppress(BadFile):  # a quote that is never closed
            found = read(path, chunk_bytes=budget, **options)
            for chunk in found.chunks:
                expected, copied = rows_of(found, chunk), copy(chunk, dialect, cursor)
                # Taken apart, a record may be fine whose line end differs from its neighbours'.
                assert copied is None or (chunk.records, expected) == (len(copied), copied)
                assert copied is None or None not in expected

    with closing(psycopg2.connect(empty_database)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(_TABLE)
        compare()


def rows_of(found: Read, chunk: Chunk) -> list[tuple[str | None, ...] | None]:
    """Return the values of a chunk's records; None for a bad one."""
    rows = found.rows[chunk.first_record - 1 : chunk.end.records]
    return [row and tuple(row.values()) for row in rows]


def copy(
    chunk: Chunk, dialect: dict[str, str], cursor: psycopg2.extensions.cursor
) -> list[tuple[str | None, ...]] | None:
    """Copy a chunk; return what the table holds then, or None if it was refused."""
    cursor.execute("DELETE FROM pg_temp.two")
    try:
        cursor.copy_expert(_COPY.format(**dialect), io.BytesIO(chunk.data))
    except psycopg2.DataError:
        return None
    cursor.execute("SELECT a, b FROM pg_temp.two ORDER BY number")
    return cursor.fetchall()
