"""Put rows into a table in one statement, and tell how each of them ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.statements import Composition, compose, names
from postgres.table import Table

#: SQLSTATE of our own (class CE) for a row that a trigger or rule kept out without an error.
KEPT_OUT = "CE001"


class OnConflict(StrEnum):
    """What happens to a row whose key is there already."""

    ERROR = "error"
    IGNORE = "ignore"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Destination:
    """A table, the columns that rows bring, and what their key means."""

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...]
    on_conflict: OnConflict


def insert_rows(destination: Destination, rows: Sequence[str], cursor: Cursor) -> Mapping[int, str]:
    """Insert JSON objects; return the account of each that was not simply inserted.

    Keys of the answer are positions in ``rows``. Raises :class:`Refused` of
    phase ``rows``; then nothing was inserted, and the transaction is broken
    until it goes back to a savepoint.
    """
    query = _query(destination)
    with refusals(Phase.ROWS):
        cursor.execute(query, {"rows": f"[{','.join(rows)}]"})
        if destination.on_conflict is not OnConflict.ERROR:
            return {number - 1: account for number, account in cursor.fetchall()}
    _check_all_went_in(destination, len(rows), cursor.rowcount)
    return {}


def whole_insert(destination: Destination) -> Composition:
    """Return the insert of ``rows``, JSON objects in one array, for :func:`commit_whole`.

    In a table that is plain, text columns must get strings or null.
    """
    return Composition(
        compose(
            "insert_whole_rows",
            **_parts(destination),
            # Parsed once instead of twice, which saves a fifth of the statement.
            json=sql.SQL("json" if destination.table.is_plain else "jsonb"),
            in_order=_in_order(destination),
        )
    )


def _query(destination: Destination) -> sql.Composed:
    key = destination.key
    parts = _parts(destination)
    if destination.on_conflict is OnConflict.ERROR:
        return compose("insert_rows", in_order=_in_order(destination), **parts)
    parts |= {"key": names(key), "key_has_null": _key_has_null(key)}
    if destination.on_conflict is OnConflict.IGNORE:
        return compose("insert_rows_or_ignore", **parts)
    return compose("insert_rows_or_update", assignments=_assignments(destination), **parts)


def _parts(destination: Destination) -> dict[str, sql.Composable]:
    return {
        "table": destination.table.identifier,
        "columns": names(destination.columns),
        "definitions": _definitions(destination),
    }


def _in_order(destination: Destination) -> sql.Composable:
    # What the rows leave to a default cannot be ordered by, and nobody else can have it.
    key = tuple(column for column in destination.key if column in destination.columns)
    return sql.SQL("ORDER BY {}").format(names(key)) if key else sql.SQL("")


def _definitions(destination: Destination) -> sql.Composed:
    # The type is text that format_type() made from the catalog, quoted by PostgreSQL.
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(column), sql.SQL(destination.table.columns[column].type)
        )
        for column in destination.columns
    )


def _key_has_null(key: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(" OR ").join(
        sql.SQL("{} IS NULL").format(sql.Identifier(column)) for column in key
    )


def _assignments(destination: Destination) -> sql.Composed:
    # A row that is nothing but its key still counts as an update of the row it meets.
    changed = [c for c in destination.columns if c not in destination.key] or destination.key[:1]
    return sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column)) for column in changed
    )


def _check_all_went_in(destination: Destination, expected: int, inserted: int) -> None:
    if inserted != expected:
        table = destination.table
        raise Refused(
            f"a trigger or rule of {table.schema}.{table.name} kept "
            f"{expected - inserted} of {expected} rows out without an error",
            sqlstate=KEPT_OUT,
            phase=Phase.ROWS,
        )
