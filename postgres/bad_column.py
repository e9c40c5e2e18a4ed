"""Find the column whose value PostgreSQL could not read.

PostgreSQL names the column of a broken NOT NULL, not that of a wrong type.
"""

import msgspec
from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.insert_rows import Destination
from postgres.statements import compose, names
from postgres.table import Table
from postgres.transaction import trial

#: Class "data exception": a value that its column's type does not take.
_DATA_EXCEPTION = "22"


def bad_column(destination: Destination, row: str, refused: Refused, cursor: Cursor) -> str | None:
    """Return the guilty column if there is one, in at most 2 log2(columns) statements."""
    if refused.column or not (refused.sqlstate or "").startswith(_DATA_EXCEPTION):
        return refused.column
    suspects = destination.columns
    if _reads(destination.table, suspects, row, cursor):
        return None
    while len(suspects) > 1:
        half = suspects[: len(suspects) // 2]
        suspects = suspects[len(half) :] if _reads(destination.table, half, row, cursor) else half
    return suspects[0]


def _reads(table: Table, columns: tuple[str, ...], row: str, cursor: Cursor) -> bool:
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(table.columns[column].type))
        for column in columns
    )
    query = compose("try_columns", columns=names(columns), definitions=definitions)
    # Only these members: a NUL in any member would keep PostgreSQL from reading the others.
    members = msgspec.json.decode(row, type=dict[str, msgspec.Raw])
    part = msgspec.json.encode({name: members[name] for name in columns if name in members})
    try:
        with trial(cursor, "try_columns", Phase.ROWS), refusals(Phase.ROWS):
            cursor.execute(query, {"row": part.decode()})
    except Refused as refused:
        if (refused.sqlstate or "").startswith(_DATA_EXCEPTION):
            return False
        raise
    return True
