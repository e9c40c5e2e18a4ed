"""Look at a table as the role that would write to it: what it is, its keys, the role's rights."""

import msgspec

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement


class UniqueKey(msgspec.Struct, frozen=True):
    """A unique index; ON CONFLICT can use it if it is whole and immediate."""

    #: None if it is made of expressions alone.
    columns: tuple[str, ...] | None
    is_whole: bool
    is_immediate: bool


class TableFacts(msgspec.Struct, frozen=True):
    """A table, and what this session's role may do with it."""

    role: str
    #: PostgreSQL's ``relkind``.
    kind: str
    takes_rows: bool
    sees_schema: bool
    inserts: bool
    updates: bool
    selects: bool
    #: Columns that PostgreSQL computes.
    generated: tuple[str, ...]
    #: Sequences of serial columns that the role may not draw from.
    forbidden_sequences: tuple[str, ...]
    unique_keys: tuple[UniqueKey, ...]


def examine(schema: str, table: str, cursor: Cursor) -> TableFacts | None:
    """Return what there is of that name, or None; needs no right to it."""
    with refusals(Phase.READ):
        cursor.execute(statement("examine_table"), {"schema": schema, "table": table})
        found = cursor.fetchone()
    return None if found is None else msgspec.convert(found[0], TableFacts)
