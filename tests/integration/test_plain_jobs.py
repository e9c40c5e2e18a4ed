"""The short look at usual jobs lets through what the checks would, and many go in at once."""

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from tests.integration.shop import query

PLAIN = '{"target": "a", "rows": [{}]}'
ODD = [
    '{"target": "", "rows": [{}]}',
    '{"target": 1, "rows": [{}]}',
    '{"target": "a", "rows": []}',
    '{"target": "a", "rows": [1]}',
    '{"target": "a", "rows": [{}, null]}',
    '{"target": "a", "rows": {}}',
    '{"target": "a", "rows": [{}], "more": 1}',
    '{"rows": [{}]}',
    '{"target": "a"}',
    "[]",
    "null",
]


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


def is_plain(database: str, task: str, kwargs: str | None) -> Any:
    [(found,)] = query(database, "SELECT celeriac.is_plain_ingest(%s, %s)", (task, kwargs))
    return found


def test_usual_job_is_plain(database: str) -> None:
    """A job with a target and rows passes at one look, and no other task does."""
    assert is_plain(database, "celeriac.ingest", PLAIN)
    assert not is_plain(database, "celeriac.report", PLAIN)
    assert not is_plain(database, "celeriac.ingest", None)


@pytest.mark.parametrize("kwargs", ODD)
def test_what_is_refused_is_not_plain(database: str, kwargs: str) -> None:
    """Nothing that the checks refuse gets past them, alone or among others."""
    assert not is_plain(database, "celeriac.ingest", kwargs)
    for call in (
        "SELECT celeriac.enqueue('celeriac.ingest', %s)",
        f"SELECT celeriac.enqueue_many('celeriac.ingest', ARRAY['{PLAIN}', %s]::jsonb[])",
    ):
        with pytest.raises(psycopg2.errors.InvalidParameterValue):
            query(database, call, (kwargs,))

    assert [] == query(database, "SELECT id FROM celeriac.outbox")


def test_many_with_ids_answer_in_their_order(database: str) -> None:
    """Ids come back as they were given, one that is there already and one given twice too."""
    call = "SELECT celeriac.enqueue_many('own', array_fill('{}'::jsonb, ARRAY[4]), ids => %s)"
    query(database, "SELECT celeriac.enqueue('own', '{}', id => 'there')")

    answer = query(database, call, (["z", "there", "a", "z"],))

    assert [("z",), ("there",), ("a",), ("z",)] == answer
    assert [("a",), ("there",), ("z",)] == query(
        database, "SELECT id FROM celeriac.outbox ORDER BY id"
    )


def test_many_under_a_snapshot_keep_the_transaction(database: str) -> None:
    """Under REPEATABLE READ an id that came since is no reason to lose the transaction."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        connection.set_session(isolation_level="REPEATABLE READ")
        cursor.execute("SELECT 1")
        query(database, "SELECT celeriac.enqueue('own', '{}', id => 'b')")

        cursor.execute(
            "SELECT celeriac.enqueue_many('own', array_fill('{}'::jsonb, ARRAY[2]), ids => %s)",
            (["b", "a"],),
        )
        connection.commit()

    assert [("a",), ("b",)] == query(database, "SELECT id FROM celeriac.outbox ORDER BY id")
