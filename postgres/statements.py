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


def names(identifiers: tuple[str, ...]) -> sql.Composed:
    """Quote a list of column names."""
    return sql.SQL(", ").join(map(sql.Identifier, identifiers))
