"""Ask the database what a table demands of its rows, as far as many can be asked at once."""

from enum import StrEnum
from typing import Any

import msgspec

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement
from postgres.table import Table

#: The first server that can say whether a text is a value of a type without raising.
_FIRST_WITH_SOFT_ERRORS = 160000


class Reading(StrEnum):
    """How far ``pg_input_is_valid`` can be asked about a column's values."""

    CHECKED = "checked"
    #: It may raise instead of answering: domains with functions, xml, types of extensions.
    RISKY = "risky"
    #: Values come as JSON, or are any JSON: nothing to ask about their text.
    UNCHECKED = "unchecked"


class RuledColumn(msgspec.Struct, frozen=True):
    """What the table says of one column."""

    name: str
    not_null: bool
    fills_itself: bool
    never_written: bool
    reading: Reading


class Check(msgspec.Struct, frozen=True):
    """A CHECK constraint: the columns it reads, its expression as PostgreSQL writes it."""

    columns: tuple[str, ...]
    expression: str


class Parent(msgspec.Struct, frozen=True):
    """A foreign key: columns here, keys there."""

    schema: str
    name: str
    is_itself: bool
    match_full: bool
    columns: tuple[str, ...]
    keys: tuple[str, ...]


class Rules(msgspec.Struct, frozen=True):
    """What a table demands, but for triggers, exclusion, and indexes of expressions or parts."""

    columns: tuple[RuledColumn, ...]
    checks: tuple[Check, ...]
    parents: tuple[Parent, ...]
    unique_keys: tuple[tuple[str, ...], ...]
    #: A row has to meet one of these, if there are any.
    partitions: tuple[str, ...]
    partition_columns: tuple[str, ...]


def can_be_asked(cursor: Cursor) -> bool:
    """Tell whether this server knows soft errors; an older one only knows by trial."""
    return bool(cursor.connection.server_version >= _FIRST_WITH_SOFT_ERRORS)


def find_rules(table: Table, cursor: Cursor) -> Rules:
    """Read the table's rules anew: what was remembered may be what has just failed."""
    quoted = table.identifier.as_string(cursor)
    with refusals(Phase.ROWS):
        cursor.execute(statement("find_rules"), {"table": quoted})
        return msgspec.convert(_only_value(cursor), Rules)


def _only_value(cursor: Cursor) -> Any:
    ((value,),) = cursor.fetchall()
    return value
