"""Put chunks of CSV into a table: straight, or by a temporary table that is looked at on the way.

Straight where nothing but an insert is asked for; else by one statement that
means what :mod:`postgres.insert_rows` means with the same destination.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from psycopg2 import sql

from postgres import Cursor
from postgres.bad_rows import judgement
from postgres.bad_rules import Rules, find_rules
from postgres.copy_in import CsvRecords, can_leave_out, compare, copy_all, copy_readable
from postgres.errors import Phase, Refused, refusals
from postgres.insert_rows import (
    Destination,
    OnConflict,
    assignments,
    is_new,
    key_has_null,
    merge_query,
    only_newer,
)
from postgres.staged_places import staged_places
from postgres.statements import compose, compose_bound, names, statement
from postgres.transaction import savepoint

_STAGE = sql.Identifier("pg_temp", "celeriac_chunk")
_TWICE = "21000"

#: SQLSTATEs of rows that a look at other rows would have found.
FOREIGN_KEY, UNIQUE = "23503", "23505"


@dataclass(frozen=True, slots=True)
class Feed:
    """What becomes of the fields of a record.

    ``columns`` are those that the fields feed, in their order; None for a
    field that no column wants, which goes into ``unknown_column`` under its
    name in ``members``, or nowhere. ``literals`` (JSON text by column) are the
    same for each record.
    """

    members: Sequence[str]
    columns: Sequence[str | None]
    unknown_column: str | None = None
    literals: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_straight(self) -> bool:
        """Whether each field feeds a column, and nothing else does."""
        return None not in self.columns and not self.literals

    @property
    def written(self) -> tuple[str, ...]:
        """The columns that are written."""
        kept = [self.unknown_column] if self.unknown_column and None in self.columns else []
        return (*(one for one in self.columns if one is not None), *self.literals, *kept)


def copy_csv(
    destination: Destination, feed: Feed, records: CsvRecords, cursor: Cursor
) -> Mapping[str, int]:
    """Put all records into the table; return how many of them ended how.

    The destination's columns are those that the feed writes. Raises
    :class:`Refused` of phase ``rows`` if any is bad; go back to a savepoint then.
    """
    if _goes_straight(destination, feed):
        copy_all(destination.table.identifier, feed.written, records, cursor)
        return {"inserted": records.count}
    _open_stage(destination, feed, cursor)
    copy_all(_STAGE, _staged_names(feed), records, cursor)
    return _empty_stage(destination, feed, records.count, cursor)


def copy_readable_csv(
    destination: Destination, feed: Feed, records: CsvRecords, cursor: Cursor
) -> tuple[Mapping[str, int], Collection[int]] | None:
    """Put the readable records straight into the table, and return the places of the others.

    None if that cannot be done here. Raises :class:`Refused` as ``copy_csv``.
    """
    if not (_goes_straight(destination, feed) and can_leave_out(cursor)):
        return None
    places = copy_readable(destination.table.identifier, feed.written, records, cursor)
    return {"inserted": records.count - len(places)}, places


def sift_csv(
    destination: Destination,
    feed: Feed,
    records: CsvRecords,
    met: Collection[str],
    cursor: Cursor,
) -> tuple[Mapping[str, int], Collection[int]]:
    """Put in the records that look good; return how they ended, and the places of the others.

    Those are a guess, to be tried one by one. Foreign and unique keys, which
    cost the most, are only looked at if ``met`` has their SQLSTATE. Raises
    :class:`Refused` as ``copy_csv``.
    """
    _open_stage(destination, feed, cursor)
    staged = _staged_names(feed)
    if can_leave_out(cursor):
        unreadable = copy_readable(_STAGE, staged, records, cursor)
    else:
        copy_all(_STAGE, staged, records, cursor)
        unreadable = []
    rules = _affordable(find_rules(destination.table, cursor), met)
    broken = _find_broken(destination, feed, rules, cursor)
    places = sorted(unreadable)
    if broken:
        places = staged_places(unreadable, broken, _last_number(cursor), records.count)
        with refusals(Phase.ROWS):
            cursor.execute(statement("drop_broken_staged"), {"numbers": broken})
    counts = _empty_stage(destination, feed, records.count - len(places), cursor)
    return counts, places


def _goes_straight(destination: Destination, feed: Feed) -> bool:
    return destination.on_conflict is OnConflict.ERROR and feed.is_straight


def _open_stage(destination: Destination, feed: Feed, cursor: Cursor) -> None:
    definitions = _definitions(destination, feed, _staged_names(feed))
    with refusals(Phase.ROWS):
        cursor.execute(compose("stage_rows", definitions=definitions))


def _empty_stage(
    destination: Destination, feed: Feed, records: int, cursor: Cursor
) -> Mapping[str, int]:
    counts = _insert(destination, feed, records, cursor)
    with refusals(Phase.ROWS):
        cursor.execute(statement("drop_stage"))
    return counts


def _affordable(rules: Rules, met: Collection[str]) -> Rules:
    return msgspec.structs.replace(
        rules,
        parents=rules.parents if FOREIGN_KEY in met else (),
        unique_keys=rules.unique_keys if UNIQUE in met else (),
    )


def _find_broken(destination: Destination, feed: Feed, rules: Rules, cursor: Cursor) -> list[int]:
    """Return the numbers of the staged rows that break a rule of the table."""
    query = compose_bound(
        "find_broken_staged",
        values=_values(destination, feed),
        source=_source(destination, feed),
        **judgement(destination, rules),
    )
    with refusals(Phase.ROWS):
        cursor.execute(query, {"literals": _joined(feed.literals)})
        return [number for (number,) in cursor.fetchall()]


def _last_number(cursor: Cursor) -> int:
    with refusals(Phase.ROWS):
        cursor.execute(statement("find_last_staged"))
        return int(cursor.fetchall()[0][0])


def _staged_names(feed: Feed) -> tuple[str, ...]:
    # A name of ours for what has no column: the file's own may be any column's.
    return tuple(
        column or f"celeriac_field_{place}" for place, column in enumerate(feed.columns, start=1)
    )


def _definitions(destination: Destination, feed: Feed, staged: tuple[str, ...]) -> sql.Composed:
    columns = destination.table.columns
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(name), sql.SQL("text" if column is None else columns[column].type)
        )
        for name, column in zip(staged, feed.columns, strict=True)
    )


def _insert(
    destination: Destination, feed: Feed, records: int, cursor: Cursor
) -> Mapping[str, int]:
    parts: dict[str, sql.Composable] = {
        "table": destination.table.identifier,
        "columns": names(destination.columns),
        "values": _values(destination, feed),
        "source": _source(destination, feed),
    }
    literals = {"literals": _joined(feed.literals)}
    if destination.on_conflict is OnConflict.UPDATE:
        return _update(destination, parts, literals, records, cursor)
    name = "insert_staged"
    if destination.on_conflict is OnConflict.IGNORE:
        name, parts["key"] = "insert_staged_or_ignore", names(destination.key)
    with refusals(Phase.ROWS):
        cursor.execute(compose_bound(name, **parts), literals)
    inserted = cursor.rowcount
    if destination.on_conflict is OnConflict.ERROR:
        compare(inserted, records)
    return {"inserted": inserted, "ignored": records - inserted}


def _update(
    destination: Destination,
    parts: dict[str, sql.Composable],
    literals: Mapping[str, str],
    records: int,
    cursor: Cursor,
) -> Mapping[str, int]:
    parts |= {
        "key": names(destination.key),
        "assignments": assignments(destination),
        "only_newer": only_newer(destination),
        "is_new": is_new(destination),
    }
    query = compose_bound("insert_staged_or_update", **parts)
    try:
        with savepoint(cursor, "merge", Phase.ROWS):
            return _merged(query, literals, records, cursor)
    except Refused as refused:
        if refused.sqlstate != _TWICE:
            raise
    parts["key_has_null"] = key_has_null(destination.key)
    numbered, accounts = compose("number_staged", **parts), compose("count_accounts", **parts)
    return _merged(merge_query(destination, numbered, accounts), literals, records, cursor)


def _merged(
    query: sql.Composed, literals: Mapping[str, str], records: int, cursor: Cursor
) -> Mapping[str, int]:
    with refusals(Phase.ROWS):
        cursor.execute(query, literals)
        inserted, updated, superseded = cursor.fetchall()[0]
    return {
        "inserted": inserted,
        "updated": updated,
        "superseded": superseded,
        "ignored": records - inserted - updated - superseded,
    }


def _values(destination: Destination, feed: Feed) -> sql.Composed:
    return sql.SQL(", ").join(
        _unknown(destination, feed) if column == feed.unknown_column else sql.Identifier(column)
        for column in destination.columns
    )


def _unknown(destination: Destination, feed: Feed) -> sql.Composable:
    """Return all fields that no column wants, as one JSON object."""
    column = feed.unknown_column or ""
    pairs = [
        sql.SQL("{}::text, {}").format(sql.Literal(member), sql.Identifier(name))
        for member, fed, name in zip(feed.members, feed.columns, _staged_names(feed), strict=True)
        if fed is None
    ]
    return sql.SQL("jsonb_build_object({})::{} AS {}").format(
        sql.SQL(", ").join(pairs),
        sql.SQL(destination.table.columns[column].type),
        sql.Identifier(column),
    )


def _source(destination: Destination, feed: Feed) -> sql.Composable:
    if not feed.literals:
        return _STAGE
    # As in an ingest job: the text of JSON becomes a value of the column's type.
    columns = destination.table.columns
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(columns[name].type))
        for name in feed.literals
    )
    return sql.SQL("{} CROSS JOIN jsonb_to_record({}::jsonb) AS celeriac_literal ({})").format(
        _STAGE, sql.Placeholder("literals"), definitions
    )


def _joined(literals: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in literals.items()) + "}"
