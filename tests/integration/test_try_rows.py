"""Rows are tried by one prepared insert, each alone, and nothing of it stays."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions

from tests.integration.shop import query

TABLE = "CREATE TEMP TABLE thing (id int PRIMARY KEY, price int CHECK (price > 0))"
INSERT = "INSERT INTO thing SELECT * FROM jsonb_to_recordset($1::jsonb) AS (id int, price int)"
TRY = "SELECT place, written, code FROM celeriac.try_rows(%s, %s)"
GOOD, BAD, UNREADABLE = '{"id": 1, "price": 1}', '{"id": 2, "price": 0}', '{"id": "x\\\\"}'
ANSWERS = [(1, 1, "CE003"), (2, None, "23514"), (3, None, "22P02"), (4, 1, "CE003")]


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def cursor(database: str) -> Iterator[extensions.cursor]:
    """A cursor with a table of its own to try rows on."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
        yield cursor


def tried(cursor: extensions.cursor, insert: str = INSERT) -> list[tuple[Any, ...]]:
    """Try good and bad rows; return what is said of each, and see that nothing stays."""
    cursor.execute(TRY, (insert, [GOOD, BAD, UNREADABLE, GOOD]))
    answers = cursor.fetchall()
    cursor.execute("SELECT FROM thing")
    assert [] == cursor.fetchall()
    return answers


def test_each_row_is_judged_alone(cursor: extensions.cursor) -> None:
    """A row is refused for its own sake only, and one that is taken is counted."""
    assert ANSWERS == tried(cursor)


def test_what_was_cut_short_is_in_nobodys_way(cursor: extensions.cursor) -> None:
    """A prepared insert that an earlier call left behind is not the one that is run."""
    cursor.execute("PREPARE celeriac_try (text) AS SELECT 1")

    found = tried(cursor)

    assert ANSWERS == found
    cursor.execute("SELECT name FROM pg_prepared_statements")
    assert [] == cursor.fetchall()


def test_statement_that_cannot_be_planned(cursor: extensions.cursor) -> None:
    """It refuses each row in PostgreSQL's words, as if each had been sent alone."""
    found = tried(cursor, INSERT.replace("thing", "nothing"))

    assert [(place, None, "42P01") for place in range(1, 5)] == found


def test_a_trigger_may_assert(cursor: extensions.cursor) -> None:
    """What a trigger's ASSERT refuses is refused like by any other word of it."""
    cursor.execute(
        "CREATE FUNCTION pg_temp.look() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN ASSERT NEW.price < 5; RETURN NEW; END'"
    )
    cursor.execute(
        "CREATE TRIGGER look BEFORE INSERT ON thing FOR EACH ROW EXECUTE FUNCTION pg_temp.look()"
    )

    cursor.execute(TRY, (INSERT, [GOOD, '{"id": 2, "price": 7}', BAD]))

    assert [(1, 1, "CE003"), (2, None, "P0004"), (3, None, "23514")] == cursor.fetchall()


def test_a_lock_ends_the_trial(cursor: extensions.cursor, database: str) -> None:
    """Rows behind one that waited in vain for a lock are not waited for as well."""
    cursor.execute("CREATE TABLE public.locked (id int PRIMARY KEY, price int)")
    cursor.connection.commit()
    insert = INSERT.replace("thing", "public.locked")
    try:
        with closing(psycopg2.connect(database)) as other, other.cursor() as holder:
            holder.execute("INSERT INTO public.locked SELECT n, 1 FROM generate_series(1, 3) AS n")
            cursor.execute("SET LOCAL lock_timeout = '50ms'")
            cursor.execute(TRY, (insert, [GOOD, '{"id": 2}', '{"id": 3}']))
            answers = cursor.fetchall()
            other.rollback()

        assert [(1, None, "55P03")] == answers
    finally:
        cursor.connection.rollback()
        query(database, "DROP TABLE public.locked")
