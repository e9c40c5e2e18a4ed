"""Ask the database what a table looks like; remember it until it is doubted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

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


class Relation(StrEnum):
    """What takes the rows, by PostgreSQL's ``relkind``."""

    TABLE = "r"
    PARTITIONED = "p"
    VIEW = "v"
    FOREIGN = "f"
    #: Takes no rows; PostgreSQL will say so.
    OTHER = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view as the database describes it.

    ``level`` is 0 if it references no other table, else one more than the
    highest that it references: parents go before children. ``version`` and
    ``storage`` tell a table that was altered since from one that was not.
    """

    schema: str
    name: str
    columns: Mapping[str, Column]
    relation: Relation = Relation.TABLE
    level: int = 0
    version: int = 0
    #: Where the rows are: changes when a column's type does. None where none are.
    storage: int | None = None
    #: A view whose rows go where a trigger puts them.
    is_triggered: bool = False
    #: Whether an upsert can be asked for the row as it was (PostgreSQL 18).
    tells_old: bool = False

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
    def quoted(self) -> str:
        """The name as PostgreSQL reads it from a text."""
        return ".".join('"{}"'.format(one.replace('"', '""')) for one in (self.schema, self.name))

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
            self._seen[key] = _read_table(schema, name, cursor)
        return self._seen[key]

    def forget_all(self) -> None:
        """Ask for every table again."""
        self._seen.clear()

    def forget(self, schema: str, name: str) -> bool:
        """Ask again next time; False if nothing was remembered."""
        return self._seen.pop((schema, name), None) is not None


def _read_table(schema: str, name: str, cursor: Cursor) -> Table:
    table = {"table": sql.Identifier(schema, name).as_string(cursor)}
    with refusals(Phase.ROWS):
        # First its version: what is altered in between then counts as altered later.
        cursor.execute(statement("read_table"), table)
        kind, level, version, storage, is_triggered, tells_old = cursor.fetchall()[0]
        cursor.execute(statement("read_columns"), table)
        columns = {
            name: Column(type_, has_default) for name, type_, has_default in cursor.fetchall()
        }
    relation = Relation(kind) if kind in set(Relation) else Relation.OTHER
    return Table(
        *(schema, name, columns, relation, level, version or 0),
        *(storage, is_triggered, tells_old),
    )


def _bare(type_: str) -> str:
    """Return a type without its length or precision."""
    return re.sub(r"\(.*?\)", "", type_)
