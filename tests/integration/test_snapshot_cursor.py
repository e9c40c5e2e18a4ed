"""The cursor of a snapshot bounds its statements together, and says for whom they run."""

from collections.abc import Iterator

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
