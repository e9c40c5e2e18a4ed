"""Ask the server what a query would give, and where it stumbles over it, without reading rows."""

import re
from collections.abc import Mapping, Sequence

import psycopg2

from postgres import Cursor
from postgres.errors import Refused
from postgres.parameters import Value, fill
from postgres.snapshot import Column, Query

#: What the query is planned by, which nobody who wrote it knows of.
_CURSOR = re.compile(r"^DECLARE CURSOR\b")


class Misfit(Exception):
    """A query that this database would not run; ``line`` counts from 0 in the query."""

    def __init__(self, words: str, line: int) -> None:
        super().__init__(words)
        self.line = line


def describe(cursor: Cursor, query: str, parameters: Mapping[str, Value]) -> Sequence[Column]:
    """Return the columns of a query, planned with NULL for each parameter.

    It is planned as its run would be, so missing tables, wrong types and forbidden reads are
    found, and raised as :class:`Misfit`. The transaction is of no use after one.
    """
    nulls = {name: value._replace(text=None) for name, value in parameters.items()}
    try:
        return Query(cursor, query, nulls).columns
    except Refused as error:
        cause = error.__cause__
        if error.sqlstate is None or not isinstance(cause, psycopg2.Error):
            raise
        literals = {name: f"NULL::{value.type_name}" for name, value in nulls.items()}
        line = _line(cause, cursor, fill(query, literals))
        message = _CURSOR.sub("a report", error.message)
        words = ", ".join(filter(None, [message, cause.diag.message_hint]))
        raise Misfit(words, line) from error


def _line(cause: psycopg2.Error, cursor: Cursor, filled: str) -> int:
    """Count the lines of the query before the place that the server points at."""
    sent = bytes(cursor.query or b"").decode("utf-8", "replace")
    start = sent.find(filled)
    # Counted in characters, from 1; without a place, the query as a whole is meant.
    place = int(cause.diag.statement_position or 0) - 1
    return sent.count("\n", start, place) if 0 <= start < place else 0
