"""Read the SQL that lives in files: one statement a file, named verb_noun."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from psycopg2 import sql

from postgres import Cursor


@dataclass(slots=True)
class Composition:
    """A statement composed with quoted names, written out at its first use and kept as text."""

    parts: sql.Composed
    _text: str | None = None

    def text(self, cursor: Cursor) -> str:
        """Return the statement as text; its values are still to be bound."""
        if self._text is None:
            self._text = self.parts.as_string(cursor)
        return self._text


@cache
def statement(name: str) -> str:
    """Return the text of ``sql/<name>.sql``."""
    return (files("postgres") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def compose(name: str, **parts: sql.Composable) -> sql.Composed:
    """Fill the braces of ``sql/<name>.sql``; values stay bound, only names go in."""
    return sql.SQL(statement(name)).format(**parts)


def compose_bound(name: str, **parts: sql.Composable) -> sql.Composed:
    """Compose a statement that is executed with parameters: a ``%`` in a name stays one."""
    return compose(name, **{key: _doubled(part) for key, part in parts.items()})


def names(identifiers: tuple[str, ...]) -> sql.Composed:
    """Quote a list of column names."""
    return sql.SQL(", ").join(map(sql.Identifier, identifiers))


def _doubled(part: sql.Composable) -> sql.Composable:
    """Double what the driver would take for the beginning of a placeholder."""
    if isinstance(part, sql.Composed):
        return sql.Composed([_doubled(one) for one in part.seq])
    if isinstance(part, sql.Identifier):
        return sql.Identifier(*(one.replace("%", "%%") for one in part.strings))
    if isinstance(part, sql.SQL):
        return sql.SQL(part.string.replace("%", "%%"))
    if isinstance(part, sql.Literal) and isinstance(part.wrapped, str):
        return sql.Literal(part.wrapped.replace("%", "%%"))
    return part
