"""Create the database itself, for stacks that bring their own server."""

from contextlib import closing

import psycopg2
from psycopg2 import sql

from postgres.errors import Phase, refusals
from postgres.statements import compose, statement


def create_database(server_url: str, name: str) -> bool:
    """Create a database unless it is there; return whether it was created."""
    with refusals(Phase.CONNECT), closing(psycopg2.connect(server_url)) as connection:
        connection.autocommit = True  # no database is created inside a transaction
        with connection.cursor() as cursor:
            cursor.execute(statement("find_database"), {"name": name})
            if cursor.fetchone():
                return False
            cursor.execute(compose("create_database", database=sql.Identifier(name)))
    return True
