"""Ask the database what a table looks like; remember it until it is doubted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement

_READ_FROM_STRINGS = frozenset(
    {
        "text",
        "character varying",
        "uuid",
        "date",
        "timestamp without time zone",
        "timestamp with time zone",
    }
)
_READ_FROM_NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric", "boolean"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column's type, as SQL, and whether it fills itself when left out."""

    type: str
    has_default: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view as the database describes it."""

    schema: str
    name: str
    columns: Mapping[str, Column]

    @property
    def text_columns(self) -> frozenset[str]:
        """The columns whose values are ordinarily JSON strings."""
        return frozenset(n for n, c in self.columns.items() if _bare(c.type) in _READ_FROM_STRINGS)

    @property
    def is_plain(self) -> bool:
        """Whether every type reads ``json`` and ``jsonb`` alike, if text columns get strings.

        jsonb writes numbers and nested values anew: ``1e2`` becomes 100, ``-0``
        becomes 0. That shows in text, floats and json; it does not in the
        types here, which either read the same value or refuse ``json``'s.
        """
        plain = _READ_FROM_STRINGS | _READ_FROM_NUMBERS
        return all(_bare(column.type) in plain for column in self.columns.values())

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted, schema-qualified name."""
        return sql.Identifier(self.schema, self.name)


@dataclass(slots=True)
class Tables:
    """The tables that this process has seen."""

    _seen: dict[tuple[str, str], Table] = field(default_factory=dict)

    def known(self, schema: str, name: str) -> Table | None:
        """Return the table if it was described before."""
        return self._seen.get((schema, name))

    def describe(self, schema: str, name: str, cursor: Cursor) -> Table:
        """Return the table; raises :class:`Refused` (42P01, …) if there is none to see."""
        key = (schema, name)
        if key not in self._seen:
            self._seen[key] = Table(schema, name, _read_columns(schema, name, cursor))
        return self._seen[key]

    def forget(self, schema: str, name: str) -> bool:
        """Ask again next time; False if nothing was remembered."""
        return self._seen.pop((schema, name), None) is not None


def _read_columns(schema: str, name: str, cursor: Cursor) -> dict[str, Column]:
    quoted = sql.Identifier(schema, name).as_string(cursor)
    with refusals(Phase.ROWS):
        cursor.execute(statement("read_columns"), {"table": quoted})
        return {
            column: Column(type_, has_default) for column, type_, has_default in cursor.fetchall()
        }


def _bare(type_: str) -> str:
    """Return a type without its length or precision."""
    return re.sub(r"\(.*?\)", "", type_)
