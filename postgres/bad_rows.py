"""Find rows that break a table's rules, all in one statement, as the table words them."""

from collections.abc import Iterator, Sequence
from itertools import chain

from psycopg2 import sql

from postgres import Cursor
from postgres.bad_rules import Parent, Rules
from postgres.errors import Phase, refusals
from postgres.insert_rows import Destination, OnConflict, definitions
from postgres.statements import compose, names

_OR = sql.SQL(" OR ")
_AND = sql.SQL(" AND ")


def find_broken_rows(
    destination: Destination, rules: Rules, rows: Sequence[str], cursor: Cursor
) -> set[int]:
    """Return the places of rows that NOT NULL, CHECK, FOREIGN KEY or UNIQUE would refuse.

    A guess: triggers may change rows, and functions what they say. Raises
    :class:`Refused` if a row cannot be read.
    """
    query = compose(
        "find_broken_rows",
        rows=sql.Literal(f"[{','.join(rows)}]"),
        columns=names(destination.columns),
        definitions=definitions(destination),
        **judgement(destination, rules),
    )
    with refusals(Phase.ROWS):
        cursor.execute(query)
        return {number - 1 for (number,) in cursor.fetchall()}


def judgement(destination: Destination, rules: Rules) -> dict[str, sql.Composable]:
    """Return the parts of a statement that finds broken rows in ``row_in``.

    ``is_broken`` is the condition that a row breaks a rule, where NULL counts
    as no; ``repeated`` adds those of ``judged`` that repeat a key of an earlier
    one, for which it needs the columns ``judged`` and no others.
    """
    broken = [*_broken(destination, rules)] or [sql.SQL("false")]
    keys = _unique_keys(destination, rules)
    # Whole rows of a large chunk would be written to disk.
    judged = dict.fromkeys(("celeriac_number", *chain.from_iterable(keys)))
    return {
        "judged": names(tuple(judged)),
        "is_broken": _OR.join(sql.SQL("({})").format(one) for one in broken),
        "repeated": sql.Composed(map(_repeated, keys)),
    }


def _broken(destination: Destination, rules: Rules) -> Iterator[sql.Composable]:
    written = frozenset(destination.columns)
    for column in rules.columns:
        if column.name in written and column.never_written:
            yield sql.SQL("true")
        if column.not_null and column.name in written:
            yield sql.SQL("{} IS NULL").format(sql.Identifier(column.name))
        if column.not_null and column.name not in written and not column.fills_itself:
            yield sql.SQL("true")
    # What a row leaves to a default is not known here.
    for check in rules.checks:
        if written.issuperset(check.columns):
            yield sql.SQL("({}) IS FALSE").format(sql.SQL(check.expression))
    if rules.partitions and written.issuperset(rules.partition_columns):
        partitions = (sql.SQL("({})").format(sql.SQL(one)) for one in rules.partitions)
        yield sql.SQL("({}) IS NOT TRUE").format(_OR.join(partitions))
    for parent in rules.parents:
        if written.issuperset(parent.columns):
            yield _is_orphan(parent, written)
    for key in _unique_keys(destination, rules):
        yield _is_there(destination.table.identifier, key, key)


def _is_orphan(parent: Parent, written: frozenset[str]) -> sql.Composable:
    whole = _are_whole(parent.columns)
    missing = sql.SQL("NOT {}").format(
        _is_there(sql.Identifier(parent.schema, parent.name), parent.keys, parent.columns)
    )
    if parent.is_itself and written.issuperset(parent.keys):
        at_hand = compose(
            "find_parents_at_hand",
            keys=names(parent.keys),
            keys_are_whole=_are_whole(parent.keys),
        )
        pair = names(parent.columns)
        missing = sql.SQL("{} AND ({}) NOT IN ({})").format(missing, pair, at_hand)
    orphan = sql.SQL("{} AND {}").format(whole, missing)
    if not parent.match_full:
        return orphan
    any_null = _OR.join(sql.SQL("{} IS NULL").format(sql.Identifier(c)) for c in parent.columns)
    return sql.SQL("({}) OR (({}) AND NOT ({}))").format(orphan, any_null, _are_null(parent))


def _are_null(parent: Parent) -> sql.Composable:
    return _AND.join(sql.SQL("{} IS NULL").format(sql.Identifier(c)) for c in parent.columns)


def _is_there(table: sql.Identifier, keys: Sequence[str], columns: Sequence[str]) -> sql.Composable:
    is_same = _AND.join(
        sql.SQL("celeriac_parent.{} = row_in.{}").format(
            sql.Identifier(key), sql.Identifier(column)
        )
        for key, column in zip(keys, columns, strict=True)
    )
    return sql.SQL("EXISTS ({})").format(compose("find_parent", parent=table, is_same=is_same))


def _unique_keys(destination: Destination, rules: Rules) -> list[tuple[str, ...]]:
    """Return the keys that must be new: all but the one that ``ignore`` and ``update`` look at."""
    own = frozenset(destination.key) if destination.on_conflict is not OnConflict.ERROR else None
    written = frozenset(destination.columns)
    return [key for key in rules.unique_keys if written.issuperset(key) and frozenset(key) != own]


def _repeated(key: tuple[str, ...]) -> sql.Composable:
    return compose("find_repeated_keys", key=names(key), key_is_whole=_are_whole(key))


def _are_whole(columns: Sequence[str]) -> sql.Composable:
    return _AND.join(sql.SQL("{} IS NOT NULL").format(sql.Identifier(c)) for c in columns)
