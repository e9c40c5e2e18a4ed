"""Rows are tried by one prepared insert, and nobody else has to see the function that does it."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from psycopg2 import extensions

from postgres.migrate import migrate, migrations
from tests.integration.shop import query

TABLE = "CREATE TEMP TABLE thing (id int PRIMARY KEY, price int CHECK (price > 0))"
INSERT = "INSERT INTO thing SELECT * FROM jsonb_to_recordset($1::jsonb) AS (id int, price int)"
TRY = "SELECT place, written, code FROM celeriac.try_rows(%s, %s)"
GOOD, BAD, UNREADABLE = '{"id": 1, "price": 1}', '{"id": 2, "price": 0}', '{"id": "x\\\\"}'
ANSWERS = [(1, 1, "CE003"), (2, None, "23514"), (3, None, "22P02"), (4, 1, "CE003")]
RIGHT = "SELECT has_function_privilege(%s, 'celeriac.try_rows(text, text[])', 'EXECUTE')"
MIGRATION = "try_rows_by_one_plan"


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


def test_only_who_sets_rows_aside_may_try_them(empty_database: str) -> None:
    """The right is taken from everybody, and given to roles that may write to the quarantine."""
    (ours,) = [one for one in migrations() if one.name == MIGRATION]
    migrate(empty_database, [one for one in migrations() if one.number < ours.number])
    worker, other = (f"celeriac_{uuid4().hex}" for _ in range(2))
    query(empty_database, f"CREATE ROLE {worker}; CREATE ROLE {other}")
    query(empty_database, f"GRANT INSERT ON celeriac.quarantine TO {worker}")
    try:
        migrate(empty_database)

        may = [query(empty_database, RIGHT, (role,)) for role in (worker, other)]

        assert [[(True,)], [(False,)]] == may
    finally:
        query(empty_database, f"DROP OWNED BY {worker}; DROP ROLE {worker}; DROP ROLE {other}")
