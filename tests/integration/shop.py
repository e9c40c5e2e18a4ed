"""A small shop: the tables and the catalog that tests of the whole job write to."""

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

CATALOG = Path(__file__).with_name("shop_catalog")


def create_tables(database: str) -> None:
    """Create the shop's tables in a migrated database."""
    query(database, (CATALOG / "tables.sql").read_text())


def query(database: str, text: str, parameters: object = None) -> list[tuple[Any, ...]]:
    """Run a statement of the test's own, committed, and return its rows."""
    with (
        closing(psycopg2.connect(database)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(text, parameters)
        return cursor.fetchall() if cursor.description else []


def query_outside(database: str, text: str) -> None:
    """Run a statement that cannot run inside a transaction."""
    with closing(psycopg2.connect(database)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(text)
