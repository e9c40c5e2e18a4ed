"""Find rows with values that their columns' types do not take, all in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from postgres import Cursor
from postgres.bad_rules import Reading, Rules
from postgres.errors import Phase, refusals
from postgres.insert_rows import Destination
from postgres.statements import compose
from postgres.whole import text_array


@dataclass(frozen=True, slots=True)
class BadValue:
    """What PostgreSQL says of a value; no column if the row as a whole is no JSON to it."""

    column: str | None
    sqlstate: str
    message: str


def find_bad_values(
    destination: Destination, rules: Rules, rows: Sequence[str], cursor: Cursor, *, risk: bool
) -> dict[int, BadValue]:
    """Return the bad values by the place of their row.

    Raises :class:`Refused` where a type's own code raises; without ``risk``
    those types are not asked.
    """
    wanted = {Reading.CHECKED, Reading.RISKY} if risk else {Reading.CHECKED}
    readings = {column.name: column.reading for column in rules.columns}
    columns = [name for name in destination.columns if readings.get(name) in wanted]
    query = compose(
        "find_bad_values",
        rows=sql.Literal(text_array(rows)),
        texts=_texts(columns),
        values=_values(destination, columns),
        any_is_bad=_any_is_bad(destination, columns),
    )
    with refusals(Phase.ROWS):
        cursor.execute(query)
        return {
            number - 1: BadValue(column, sqlstate, message)
            for number, column, sqlstate, message in cursor.fetchall()
        }


def _texts(columns: Sequence[str]) -> sql.Composable:
    if not columns:
        return sql.SQL("celeriac_nothing text")
    return sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in columns)


def _values(destination: Destination, columns: Sequence[str]) -> sql.Composable:
    if not columns:
        return sql.SQL("(1, '', NULL, '')")
    return sql.SQL(", ").join(
        sql.SQL("({}, {}, {}, {})").format(
            sql.Literal(place),
            sql.Literal(name),
            sql.Identifier(name),
            sql.Literal(destination.table.columns[name].type),
        )
        for place, name in enumerate(columns)
    )


def _any_is_bad(destination: Destination, columns: Sequence[str]) -> sql.Composable:
    if not columns:
        return sql.SQL("false")
    return sql.SQL(" OR ").join(
        sql.SQL("pg_input_is_valid({}, {}) IS FALSE").format(
            sql.Identifier(name), sql.Literal(destination.table.columns[name].type)
        )
        for name in columns
    )
