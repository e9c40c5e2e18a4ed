"""Read the SQL that lives in files: one statement a file, named verb_noun."""

from functools import cache
from importlib.resources import files

from psycopg2 import sql


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
