"""Bring a database to the schema that this version needs.

Migrations are numbered files, applied in order, each in a transaction of its
own with the row that says so, all of them under one advisory lock.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import psycopg2

from postgres import Connection, Cursor
from postgres.errors import MigrationFailed, Phase, refusals
from postgres.statements import statement
from postgres.transaction import transaction_on

#: Key of the advisory lock: guards the list of applied migrations against a second migrator.
_LOCK_KEY = 0x63656C65
_FILE_NAME = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str


def migrations() -> list[Migration]:
    """Return the shipped migrations in order."""
    found = []
    for path in (files("postgres") / "migrations").iterdir():
        match = _FILE_NAME.fullmatch(path.name)
        if match:
            text = path.read_text(encoding="utf-8")
            found.append(Migration(int(match["number"]), match["name"], text))
    return sorted(found, key=lambda migration: migration.number)


def migrate(url: str, wanted: Sequence[Migration] | None = None) -> list[Migration]:
    """Apply what is missing of the shipped migrations, or of others; return what was applied.

    Safe to run by several at once. Raises :class:`MigrationFailed` naming the
    migration and PostgreSQL's words; those before it stay applied.
    """
    with _connect(url) as connection, _lock(connection):
        missing = _missing(connection, migrations() if wanted is None else wanted)
        return [migration for migration in missing if _apply(connection, migration)]


def applied_migrations(cursor: Cursor) -> set[int]:
    """Return the numbers of the migrations that a database has; none if it knows nothing of us."""
    with refusals(Phase.READ):
        cursor.execute(statement("find_migration_table"))
        (is_there,) = cursor.fetchone() or (False,)
        if not is_there:
            return set()
        cursor.execute(statement("read_migrations"))
        return {number for (number,) in cursor.fetchall()}


def apply_file(url: str, path: Path) -> None:
    """Run the statements of a trusted file, such as the demo's tables, in one transaction."""
    with _connect(url) as connection, transaction_on(connection) as cursor, refusals(Phase.ROWS):
        cursor.execute(path.read_text(encoding="utf-8"))


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    with refusals(Phase.CONNECT):
        connection = psycopg2.connect(url, connect_timeout=10, application_name="celeriac migrate")
    with closing(connection):
        yield connection


@contextmanager
def _lock(connection: Connection) -> Iterator[None]:
    # A session lock: it outlives the single transactions and goes with the connection.
    with transaction_on(connection) as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (_LOCK_KEY,))
    yield


def _missing(connection: Connection, wanted: Sequence[Migration]) -> list[Migration]:
    with transaction_on(connection) as cursor:
        cursor.execute(statement("create_schema"))
        cursor.execute(statement("create_migration_table"))
        cursor.execute(statement("read_migrations"))
        applied = {number for (number,) in cursor.fetchall()}
    return [migration for migration in wanted if migration.number not in applied]


def _apply(connection: Connection, migration: Migration) -> bool:
    try:
        with transaction_on(connection) as cursor:
            cursor.execute(migration.text)
            cursor.execute(
                statement("record_migration"), {"number": migration.number, "name": migration.name}
            )
    except psycopg2.Error as error:
        raise MigrationFailed(
            f"migration {migration.number:04} {migration.name} failed, "
            f"nothing of it was applied: {str(error).strip()}"
        ) from error
    return True
