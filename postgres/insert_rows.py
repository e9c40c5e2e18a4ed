"""Put rows into a table in one statement, and tell how each of them ended.

Rows come as JSON objects whose members are columns of the table. Every insert
here makes sure that the table still is what its :class:`Table` says, and is
refused with :data:`CHANGED` if not: describe it anew then.

An upsert is offered to other sources of rows too, such as a table that was
filled by COPY: :func:`merge_query` as a whole, and parts of it one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.statements import Composition, compose, compose_bound, names
from postgres.table import Relation, Table

#: SQLSTATE of our own (class CE) for a row that a trigger or rule kept out without an error.
KEPT_OUT = "CE001"

#: SQLSTATE of our own for a table that was altered after it was described.
CHANGED = "CE004"
_CHANGED_WORDS = "the table was altered while rows were on their way to it"


class OnConflict(StrEnum):
    """What happens to a row whose key is there already."""

    ERROR = "error"
    IGNORE = "ignore"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Destination:
    """A table, the columns that rows bring, and what their key means.

    ``newest`` is the column by which an update has to be newer than what is
    there; ``kept`` are columns that go in with a new row only.
    """

    table: Table
    columns: tuple[str, ...]
    key: tuple[str, ...]
    on_conflict: OnConflict
    newest: str | None = None
    kept: frozenset[str] = frozenset()


def insert_rows(destination: Destination, rows: Sequence[str], cursor: Cursor) -> Mapping[int, str]:
    """Insert JSON objects; return the account of each that was not simply inserted.

    Keys of the answer are positions in ``rows``. Raises :class:`Refused` of
    phase ``rows``; then nothing was inserted, and the transaction is broken
    until it goes back to a savepoint.
    """
    query = insert_query(destination)
    try:
        with refusals(Phase.ROWS):
            cursor.execute(query, {"rows": f"[{','.join(rows)}]"})
            if destination.on_conflict is not OnConflict.ERROR:
                return {number - 1: account for number, account in cursor.fetchall()}
    except Refused as refused:
        if refused.sqlstate == KEPT_OUT and refused.message == _CHANGED_WORDS:
            raise Refused(refused.message, sqlstate=CHANGED, phase=Phase.ROWS) from refused
        raise
    _check_all_went_in(destination, len(rows), cursor.rowcount)
    return {}


def whole_insert(destination: Destination, *, thoroughly: bool = False) -> Composition:
    """Return the insert of ``rows``, JSON objects in one array, for :func:`commit_whole`.

    In a table that is plain, text columns must get strings or null. Unless
    asked to look ``thoroughly`` it only sees that no column's type was altered,
    which costs nothing.
    """
    table = destination.table
    # json is parsed once instead of twice, which saves a fifth of the statement.
    json = "json" if table.is_plain and destination.columns else "jsonb"
    parts = {"json_in": _json_in(table, json, thoroughly=thoroughly or table.storage is None)}
    if not destination.columns:
        empty = compose_bound("insert_empty_rows", table=table.identifier, **parts)
        return Composition(empty)
    return Composition(
        compose_bound(
            "insert_whole_rows",
            **_parts(destination),
            **parts,
            json=sql.SQL(json),
            in_order=_in_order(destination),
        )
    )


def insert_query(destination: Destination, *, looks: bool = True) -> sql.Composed:
    """Return the insert of ``rows``, JSON objects in one array.

    :mod:`postgres.try_rows` runs it too, with rows of its own; where that looked at the table
    already, the many that follow need not.
    """
    key = destination.key
    json_in = sql.Composed([sql.Placeholder("rows"), sql.SQL("::jsonb")])
    if looks:
        json_in = _json_in(destination.table, "jsonb", thoroughly=True)
    if not destination.columns:
        table = destination.table.identifier
        return compose_bound("insert_empty_rows", table=table, json_in=json_in)
    parts = _parts(destination) | {"json_in": json_in}
    if destination.on_conflict is OnConflict.ERROR:
        return compose_bound("insert_rows", in_order=_in_order(destination), **parts)
    has_null = key_has_null(key)
    if destination.on_conflict is OnConflict.IGNORE:
        return compose_bound(
            "insert_rows_or_ignore", key=names(key), key_has_null=has_null, **parts
        )
    numbered = compose("number_rows", **parts)
    accounts = compose("tell_accounts", key=names(key), key_has_null=has_null)
    return merge_query(destination, numbered, accounts)


def merge_query(
    destination: Destination, numbered: sql.Composed, accounts: sql.Composed
) -> sql.Composed:
    """Return the upsert of ``numbered`` rows, of which some may have the same key.

    Those have the destination's columns and ``celeriac_number``; ``accounts``
    is what it returns of them.
    """
    return compose_bound(
        "merge_rows",
        table=destination.table.identifier,
        columns=names(destination.columns),
        key=names(destination.key),
        key_has_null=key_has_null(destination.key),
        assignments=assignments(destination),
        only_newer=only_newer(destination),
        best_first=_best_first(destination),
        is_new=is_new(destination),
        keeps_late_rows_out=sql.SQL("true" if destination.newest else "false"),
        numbered=numbered,
        accounts=accounts,
    )


def definitions(destination: Destination) -> sql.Composed:
    """Return the columns with their types, as in a column definition list."""
    # The type is text that format_type() made from the catalog, quoted by PostgreSQL.
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(column), sql.SQL(destination.table.columns[column].type)
        )
        for column in destination.columns
    )


def key_has_null(key: tuple[str, ...]) -> sql.Composed:
    """Return the condition that a key is nobody's equal."""
    return sql.SQL(" OR ").join(
        sql.SQL("{} IS NULL").format(sql.Identifier(column)) for column in key
    )


def assignments(destination: Destination) -> sql.Composed:
    """Return what an update writes: all that a row brings, but its key."""
    left = {*destination.key, *destination.kept}
    # A row that is nothing but its key still counts as an update of the row it meets.
    changed = [c for c in destination.columns if c not in left] or destination.key[:1]
    return sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column)) for column in changed
    )


def only_newer(destination: Destination) -> sql.Composable:
    """Return the WHERE by which an update of ``celeriac_there`` has to be newer, if asked for."""
    if destination.newest is None:
        return sql.SQL("")
    return sql.SQL(
        "WHERE EXCLUDED.{0} > celeriac_there.{0}"
        " OR (celeriac_there.{0} IS NULL AND EXCLUDED.{0} IS NOT NULL)"
    ).format(sql.Identifier(destination.newest))


def _best_first(destination: Destination) -> sql.Composable:
    """Return the order of the rows of one key, by ``celeriac_number``, their order of arrival."""
    if destination.newest is None:
        return sql.SQL("celeriac_number DESC")
    newest = sql.Identifier(destination.newest)
    return sql.SQL("{} DESC NULLS LAST, celeriac_number").format(newest)


def is_new(destination: Destination) -> sql.Composable:
    """Return what RETURNING has to ask to tell a fresh row from an updated one."""
    if destination.table.relation is Relation.TABLE:
        # xmax is zero on a fresh row and names this transaction on an updated one.
        return sql.SQL("(xmax = 0)")
    # A partitioned table has no system columns to give.
    if destination.table.tells_old:
        return sql.SQL("(old.{} IS NULL)").format(sql.Identifier(destination.key[0]))
    is_same = sql.SQL(" AND ").join(
        sql.SQL("celeriac_before.{0} = celeriac_there.{0}").format(sql.Identifier(column))
        for column in destination.key
    )
    before = compose("find_row_before", table=destination.table.identifier, is_same=is_same)
    return sql.SQL("NOT EXISTS ({})").format(before)


def _parts(destination: Destination) -> dict[str, sql.Composable]:
    return {
        "table": destination.table.identifier,
        "columns": names(destination.columns),
        "definitions": definitions(destination),
    }


def _json_in(table: Table, json: str, *, thoroughly: bool) -> sql.Composed:
    """Return the bound rows, unless the table is no longer what it was."""
    name = sql.Literal(table.quoted)
    if thoroughly:
        is_same: sql.Composable = compose(
            "compare_table",
            table=name,
            version=sql.Literal(table.version),
            changed=sql.Literal(_CHANGED_WORDS),
        )
    else:
        is_same = sql.SQL("pg_relation_filenode({}::regclass) = {}").format(
            name, sql.Literal(table.storage)
        )
    rows = sql.Placeholder("rows")
    # In here it is asked once a statement; in a WHERE it would be paid for row by row.
    return sql.SQL("CASE WHEN ({}) THEN {}::{} END").format(is_same, rows, sql.SQL(json))


def _in_order(destination: Destination) -> sql.Composable:
    # What the rows leave to a default cannot be ordered by, and nobody else can have it.
    key = tuple(column for column in destination.key if column in destination.columns)
    return sql.SQL("ORDER BY {}").format(names(key)) if key else sql.SQL("")


def _check_all_went_in(destination: Destination, expected: int, inserted: int) -> None:
    if inserted != expected:
        table = destination.table
        raise Refused(
            f"a trigger or rule of {table.schema}.{table.name} kept "
            f"{expected - inserted} of {expected} rows out without an error",
            sqlstate=KEPT_OUT,
            phase=Phase.ROWS,
        )
