"""Ask the database what a table looks like; remember it until it is doubted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement


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
    def identifier(self) -> sql.Identifier:
        """The quoted, schema-qualified name."""
        return sql.Identifier(self.schema, self.name)


@dataclass(slots=True)
class Tables:
    """The tables that this process has seen."""

    _seen: dict[tuple[str, str], Table] = field(default_factory=dict)

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
