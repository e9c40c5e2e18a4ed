"""Snapshots of a real PostgreSQL: one instant, read only, every value as it is."""

import csv
import errno
import io
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from postgres.errors import Refused
from postgres.parameters import Value, ValueType
from postgres.pool import Pool, PoolLimits
from postgres.snapshot import Query, pin, snapshot
from postgres.transaction import transaction


@pytest.fixture
def pool(database: str) -> Iterator[Pool]:
    """Open a pool on a database that has 30 items."""
    pool = Pool(database, PoolLimits(size=2))
    with transaction(pool) as cursor:
        cursor.execute("CREATE TABLE public.items AS SELECT n FROM generate_series(1, 30) AS n")
    yield pool
    pool.close()


def test_queries_of_a_snapshot_see_one_instant(pool: Pool, database: str) -> None:
    """What others commit between two queries is in neither, and in the next snapshot."""
    query, seen = "SELECT count(*) FROM public.items", io.BytesIO()

    with snapshot(pool) as cursor:
        pin(cursor, 30)
        with closing(psycopg2.connect(database)) as other, other, other.cursor() as writer:
            writer.execute("DELETE FROM public.items WHERE n > 10")
        rows = Query(cursor, query, {}).copy_csv(seen)
        answer = Query(cursor, query, {}).first(10)[0]
    with snapshot(pool) as cursor:
        after = Query(cursor, query, {}).first(10)[0]

    assert (1, [("30",)], [("10",)]) == (rows, answer, after)


def test_snapshot_leaves_the_connection_writable(pool: Pool) -> None:
    """A lent connection forgets that it was read-only."""
    with snapshot(pool) as cursor:
        pin(cursor, 30)

    with transaction(pool) as cursor:
        cursor.execute("CREATE TABLE public.after (); SELECT current_setting('statement_timeout')")
        limits = cursor.fetchall()

    assert [("10s",)] == limits


def test_values_have_their_types(pool: Pool) -> None:
    """Each literal arrives with the type of its parameter, NULL too."""
    given = {
        "text": "a",
        "int": "-5",
        "bigint": "9223372036854775807",
        "numeric": "0.10",
        "date": "2013-01-31",
        "timestamptz": "2013-01-01T05:00:00+05:00",
        "bool": "true",
        "uuid": "0198f3a2-7c1e-7000-8000-00000000000a",
    }
    values = {name: Value(ValueType(name), text) for name, text in given.items()}
    nothing = {name: Value(ValueType(name), None) for name in given}
    query = "SELECT " + ", ".join(f"pg_typeof(:{name})::text" for name in given)

    with snapshot(pool) as cursor:
        typed = Query(cursor, query, values).first(1)[0]
        typed_null = Query(cursor, query, nothing).first(1)[0]
        negative = Query(cursor, "SELECT 1-:int", values).first(1)[0]

    expected = (
        "text",
        "integer",
        "bigint",
        "numeric",
        "date",
        "timestamp with time zone",
        "boolean",
        "uuid",
    )
    assert ([expected], [expected], [("6",)]) == (typed, typed_null, negative)


def test_columns_know_their_digits(pool: Pool) -> None:
    """Precision and scale are those that are declared, a scale below 0 too, or none."""
    query = "SELECT 1::numeric(10,2), 0::numeric(3,5), 100::numeric(3,-2), 1::numeric, 1, 'a'"

    with snapshot(pool) as cursor:
        columns = Query(cursor, query, {}).columns

    digits = [(column.precision, column.scale) for column in columns]
    assert [(10, 2), (3, 5), (3, -2), *[(None, None)] * 3] == digits


def test_unusual_values_are_printed_as_postgres_does(pool: Pool) -> None:
    """Dates that Python cannot hold, infinities and arrays are shown, not refused."""
    query = (
        "SELECT date '0044-03-15 BC', timestamptz 'infinity', numeric 'NaN',"
        " array[1,2], '\\x00ff'::bytea, '{\"a\": 1}'::jsonb, interval '1 day'"
    )

    with snapshot(pool) as cursor:
        answer = Query(cursor, query, {}).first(1)[0]

    expected = ("0044-03-15 BC", "infinity", "NaN", "{1,2}", "\\x00ff", '{"a": 1}', "P1D")
    assert [expected] == answer


class FullDisk(io.RawIOBase):
    """A file on a disk that has no room left."""

    def writable(self) -> bool:
        """Pretend that it can be written."""
        return True

    def write(self, _data: object) -> int:
        """Fail as a full disk does."""
        raise OSError(errno.ENOSPC, "No space left on device")


DAY = 86_400
#: In the list of columns, so that the server computes no number before it is asked for.
ENDLESS = "SELECT repeat('x', 1000) FROM (SELECT generate_series(1, 1000000000)) AS n"


def test_full_disk_breaks_the_run_alone(pool: Pool) -> None:
    """A file that cannot be written ends the run and its query; the pool goes on."""
    query = ENDLESS

    with pytest.raises(OSError, match="No space left"), snapshot(pool) as cursor:
        pin(cursor, DAY)
        Query(cursor, query, {}).copy_csv(io.BufferedWriter(FullDisk()))

    with snapshot(pool) as cursor:
        answer = Query(cursor, "SELECT count(*) FROM public.items", {}).first(1)[0]
    assert [("30",)] == answer


def test_pieces_are_whole_records(pool: Pool) -> None:
    """Each piece ends with a record, however its values look; together they are the rows."""
    query = "SELECT n, E'a\"\\n' || n FROM generate_series(1, 20000) AS n"

    with snapshot(pool) as cursor:
        pin(cursor, 30)
        pieces = list(Query(cursor, query, {}).csv_pieces(10_000))

    rows = [list(csv.reader(io.StringIO(piece.decode(), newline=""))) for piece in pieces]
    expected = [[str(n), f'a"\n{n}'] for n in range(1, 20001)]
    assert expected == [row for piece in rows for row in piece]
    assert 10_000 <= min(map(len, pieces[:-1]))
    assert 10_000 + len('20000,"a""\n20000"\n') > max(map(len, pieces))


def test_pieces_end_with_the_error_of_the_query(pool: Pool) -> None:
    """A query that fails after rows were sent is an error where its pieces are read."""
    query = "SELECT 1 / (100000 - n) FROM generate_series(1, 100000) AS n"

    with snapshot(pool) as cursor, pytest.raises(Refused, match="division by zero"):
        pin(cursor, 30)
        for piece in Query(cursor, query, {}).csv_pieces(10_000):
            assert piece


def test_query_whose_pieces_nobody_reads_is_stopped(pool: Pool) -> None:
    """Who closes the pieces ends the query in the server; the connection goes on."""
    with snapshot(pool) as cursor:
        pin(cursor, DAY)
        pid = cursor.connection.info.backend_pid
        with closing(Query(cursor, ENDLESS, {}).csv_pieces(10_000)) as pieces:
            first = next(pieces)

    with snapshot(pool) as cursor:
        answer = Query(cursor, "SELECT pg_backend_pid()", {}).first(10)[0]
    assert (b"x" * 1000 + b"\n", [(str(pid),)]) == (first[:1001], answer)


def test_lost_session_is_told_by_its_error_alone(
    pool: Pool, capfd: pytest.CaptureFixture[str]
) -> None:
    """The driver prints nothing past the log, in whichever thread it copies."""
    deadly = "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)"

    with pytest.raises(Refused, match="server closed"), snapshot(pool) as cursor:
        pin(cursor, 60)
        Query(cursor, deadly, {}).copy_csv(io.BytesIO())
    with pytest.raises(Refused, match="server closed"), snapshot(pool) as cursor:
        pin(cursor, 60)
        list(Query(cursor, deadly, {}).csv_pieces(1 << 20))

    assert "" == capfd.readouterr().err
