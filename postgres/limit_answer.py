"""Stop a query soon after it gave more rows than somebody wants."""

from psycopg2 import sql

from postgres import Cursor
from postgres.statements import compose


def limited(cursor: Cursor, query: str, limit_rows: int) -> str:
    """Return the query cut off after so many rows, in its own order, its parameters untouched."""
    parts = compose("limit_answer", query=sql.SQL(query), rows=sql.Literal(limit_rows))
    return parts.as_string(cursor)
