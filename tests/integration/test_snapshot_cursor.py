"""The cursor of a snapshot bounds its statements together, and says for whom they run."""

import io
from collections.abc import Iterator

import psycopg2
import pytest

from postgres.errors import Refused
from postgres.pool import Pool, PoolLimits
from postgres.snapshot import pin, snapshot
from tests.integration.shop import query

OWN = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"
LIMIT = "SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'"


@pytest.fixture
def pool(database: str) -> Iterator[Pool]:
    """One connection."""
    pool = Pool(database, PoolLimits(1))
    yield pool
    pool.close()


@pytest.mark.parametrize(
    "hostile", ["*/ DROP TABLE x; --", "a\0b", "%s %(x)s", "/* */", "é\n\r\u2028", "x" * 10_000]
)
def test_note_is_a_comment_whatever_it_holds(pool: Pool, hostile: str) -> None:
    """A job's id cannot end the comment, nor reach the driver's placeholders."""
    with snapshot(pool) as cursor:
        pin(cursor, 60)
        cursor.annotate(f"report=r job={hostile}")
        cursor.execute(f"{OWN} AND %(n)s = 1", {"n": 1})
        ((text,),) = cursor.fetchall()

    comment, _, rest = text.partition("*/")
    assert comment.startswith("/* celeriac report=r job=")
    assert set("*\0%\n") & set(comment[2:]) == set()
    assert rest.startswith(" SELECT query")


def test_statements_share_their_time(pool: Pool) -> None:
    """The server's limit follows what is left; when nothing is, no statement is sent."""
    with snapshot(pool) as cursor:
        pin(cursor, 60)
        cursor.limit(20)
        cursor.execute(LIMIT)
        ((limit_ms,),) = cursor.fetchall()
        cursor.limit(0)

        with pytest.raises(Refused, match="took longer than 0 s") as refused:
            cursor.execute("SELECT 1")

    assert limit_ms <= 20_000
    assert "57014" == refused.value.sqlstate


def test_interrupted_cursor_takes_no_statement(pool: Pool) -> None:
    """Also one that nobody was executing: what comes next is refused."""
    with snapshot(pool) as cursor:
        pin(cursor, 60)
        cursor.interrupt()

        with pytest.raises(Refused, match="interrupted"):
            cursor.execute("SELECT 1")

    assert [(1,)] == query(pool.url, "SELECT 1")


def test_way_back_goes_with_the_next_statement(pool: Pool) -> None:
    """One round trip goes back, limits, and asks; nothing of what came before is found."""
    note = "/* celeriac report=r */ ROLLBACK TO SAVEPOINT question;\nSET LOCAL statement_timeout = "
    with snapshot(pool) as cursor:
        pin(cursor, 60)
        cursor.mark("question")
        cursor.execute("SELECT set_config('TimeZone', 'Asia/Tokyo', true)")
        cursor.annotate("report=r")
        cursor.rewind()
        cursor.limit(20)
        rows = io.BytesIO()
        cursor.copy_expert(f"COPY ({OWN}) TO STDOUT", rows)
        cursor.rewind()
        cursor.execute("SELECT current_setting('TimeZone'), current_setting('statement_timeout')")
        ((zone, limit),) = cursor.fetchall()

    assert rows.getvalue().decode().replace("\\n", "\n").startswith(note)
    assert "UTC" == zone
    assert "1min" != limit


def test_way_back_leads_out_of_a_failed_statement(pool: Pool) -> None:
    """At once, or with what comes next."""
    answers = []
    with snapshot(pool) as cursor:
        pin(cursor, 60)
        cursor.mark("question")
        for at_once in (True, False):
            with pytest.raises(psycopg2.Error):
                cursor.execute("SELECT nothing")
            cursor.rewind(at_once=at_once)
            cursor.execute("SELECT 1")
            answers += cursor.fetchall()

    assert [(1,), (1,)] == answers
