"""Say what of a target would not work with the database as it is, and what to do about it."""

from collections.abc import Iterator, Sequence

from postgres.insert_rows import OnConflict
from postgres.table_facts import TableFacts
from tasks.target import Target

_VIEW, _FOREIGN = "v", "f"


def problems(target: Target, facts: TableFacts | None) -> Iterator[str]:
    """Yield a sentence for each problem, the remedy in it; the columns are not looked at here."""
    if facts is None:
        yield (
            f"table {_place(target)} does not exist: create it "
            "(`targets add` proposes one), or correct the entry table"
        )
        return
    yield from _missing_rights(target, facts)
    if not facts.takes_rows:
        yield (
            f"{_place(target)} takes no rows: name a table, or a view that is simple enough "
            "or has an INSTEAD OF INSERT trigger"
        )
    yield from _generated_columns(target, facts)
    yield from _unmatched_key(target, facts)


def _missing_rights(target: Target, facts: TableFacts) -> Iterator[str]:
    role = _quoted(facts.role)
    if not facts.sees_schema:
        schema = _quoted(target.schema)
        yield (
            f"role {facts.role} may not look into schema {target.schema}: "
            f"GRANT USAGE ON SCHEMA {schema} TO {role}"
        )
    rights = {"insert": facts.inserts}
    if target.on_conflict is not OnConflict.ERROR:
        rights["select"] = facts.selects
    if target.on_conflict is OnConflict.UPDATE:
        rights["update"] = facts.updates
    missing = ", ".join(right.upper() for right, is_there in rights.items() if not is_there)
    if missing:
        yield f"role {facts.role} lacks {missing}: GRANT {missing} ON {_sql(target)} TO {role}"
    for sequence in facts.forbidden_sequences:
        yield (
            f"role {facts.role} may not draw from sequence {sequence}, by which a column "
            f"numbers itself: GRANT USAGE ON SEQUENCE {sequence} TO {role}"
        )


def _generated_columns(target: Target, facts: TableFacts) -> Iterator[str]:
    written = {**target.named_columns}
    for column in target.key:
        written.pop(column, None)
    for column in facts.generated:
        if column in written:
            yield (
                f'{written[column]} names column "{column}", which PostgreSQL computes itself: '
                "remove it there"
            )


def _unmatched_key(target: Target, facts: TableFacts) -> Iterator[str]:
    # What a view stands for is not told by the view.
    if target.on_conflict is OnConflict.ERROR or facts.kind == _VIEW:
        return
    if facts.kind == _FOREIGN:
        yield (
            f"{_place(target)} is a foreign table, whose keys PostgreSQL does not know: "
            'write on_conflict = "error"'
        )
        return
    same = [one for one in facts.unique_keys if set(one.columns or ()) == set(target.key)]
    if any(one.is_whole and one.is_immediate for one in same):
        return
    columns, listed = ", ".join(map(_quoted, target.key)), ", ".join(target.key)
    if any(one.is_whole for one in same):
        yield (
            f"the unique constraint on ({listed}) is deferrable, which ON CONFLICT cannot use: "
            "make it NOT DEFERRABLE"
        )
        return
    yield (
        f"key ({listed}) has no unique index of its own, which on_conflict = "
        f'"{target.on_conflict}" needs: CREATE UNIQUE INDEX ON {_sql(target)} ({columns})'
        f"{_others(facts)}"
    )


def _others(facts: TableFacts) -> str:
    keys: Sequence[str] = [
        f"({', '.join(one.columns)})"
        for one in facts.unique_keys
        if one.is_whole and one.is_immediate and one.columns
    ]
    return f", or name a key that is unique: {' or '.join(keys)}" if keys else ""


def _place(target: Target) -> str:
    return f"{target.schema}.{target.table}"


def _sql(target: Target) -> str:
    return f"{_quoted(target.schema)}.{_quoted(target.table)}"


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
