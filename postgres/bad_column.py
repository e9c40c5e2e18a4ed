"""Find the column whose value PostgreSQL could not read.

PostgreSQL names the column of a broken NOT NULL, not that of a wrong type.
"""

import re
from collections.abc import Mapping

import msgspec
from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.insert_rows import Destination
from postgres.statements import compose_bound, names
from postgres.table import Table
from postgres.transaction import trial

#: Class "data exception": a value that its column's type does not take.
_DATA_EXCEPTION = "22"
#: Class "integrity constraint violation": of a domain, if no table is named.
_BROKEN_RULE = "23"

#: The escape of a NUL, itself not escaped: JSON allows it, no text of PostgreSQL's can hold it.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def is_of_a_value(refused: Refused) -> bool:
    """Tell whether a single value was refused, of a column that PostgreSQL did not name."""
    kind = (refused.sqlstate or "")[:2]
    is_value = kind == _DATA_EXCEPTION or (kind == _BROKEN_RULE and refused.table is None)
    return is_value and not refused.column


def bad_column(destination: Destination, row: str, refused: Refused, cursor: Cursor) -> str | None:
    """Return the guilty column if there is one, in at most 2 log2(columns) statements."""
    if not is_of_a_value(refused):
        return refused.column
    members = msgspec.json.decode(row, type=dict[str, msgspec.Raw])
    nul = [name for name in destination.columns if _NUL.search(members.get(name, b""))]
    if nul:
        # No other value was even looked at.
        return nul[0]
    suspects = destination.columns
    if _reads(destination.table, suspects, members, cursor):
        return None
    while len(suspects) > 1:
        half = suspects[: len(suspects) // 2]
        suspects = (
            suspects[len(half) :] if _reads(destination.table, half, members, cursor) else half
        )
    return suspects[0]


def _reads(
    table: Table, columns: tuple[str, ...], members: Mapping[str, msgspec.Raw], cursor: Cursor
) -> bool:
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(table.columns[column].type))
        for column in columns
    )
    query = compose_bound("try_columns", columns=names(columns), definitions=definitions)
    # Only these members: one that is no JSON to PostgreSQL would hide the others.
    part = msgspec.json.encode({name: members[name] for name in columns if name in members})
    try:
        with trial(cursor, "try_columns", Phase.ROWS), refusals(Phase.ROWS):
            cursor.execute(query, {"row": part.decode()})
    except Refused as refused:
        if is_of_a_value(refused):
            return False
        raise
    return True
