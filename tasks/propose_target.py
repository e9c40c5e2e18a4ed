"""Propose a table and a target for what a survey saw in a file, as texts to review."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence

from tasks.files.column_type import ColumnType
from tasks.files.survey import Survey
from tasks.target_entries import read_target

_SIMPLE = re.compile(r"[a-z_][a-z0-9_]*")
_MOST_NAME_BYTES = 63
_MOST_COLUMNS = 1_600
#: What separates fields in files that are called CSV all the same.
_OTHER_DELIMITERS = ";\t|"
_SHOWN_CHARACTERS = 40
#: PostgreSQL's reserved words: as names they need quotes.
_RESERVED = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast
    check collate collation column concurrently constraint create cross current_catalog
    current_date current_role current_schema current_time current_timestamp current_user
    default deferrable desc distinct do else end except false fetch for foreign freeze from
    full grant group having ilike in initially inner intersect into is isnull join lateral
    leading left like limit localtime localtimestamp natural not notnull null offset on only
    or order outer overlaps placing primary references returning right select session_user
    similar some symmetric system_user table tablesample then to trailing true union unique
    user using variadic verbose when where window with
    """.split()  # noqa: SIM905 - a hundred words are read more easily so
)


class NoProposal(Exception):
    """The file does not tell what a table for it would be; the message says why."""


def proposed_table(schema: str, table: str, survey: Survey) -> str:
    """Return the statement that would make a table for all rows that were seen.

    Raises :class:`NoProposal` if there are none, or if a name cannot be a column's.
    """
    _refuse_other_delimiter([*survey.columns])
    _refuse_names([schema, table, *survey.columns])
    if not survey.columns or not survey.rows:
        bad = survey.first_bad
        first = f", in line {bad.line}: {bad.error}" if bad else ""
        raise NoProposal(f"there is no sound row in the file: nothing tells the types{first}")
    if len(survey.columns) > _MOST_COLUMNS:
        raise NoProposal(
            f"the file has {len(survey.columns)} columns, a table at most {_MOST_COLUMNS}: "
            "let a jsonb column keep the others (unknown), and name the table's own"
        )
    missing = [name for name in survey.key if name not in survey.columns]
    if missing:
        known = ", ".join(survey.columns)
        raise NoProposal(f"key {missing[0]!r} is no column of the file, which has: {known}")
    lines = [_column(name, survey) for name in survey.columns]
    if survey.key:
        lines.append(f"PRIMARY KEY ({', '.join(map(_quoted, survey.key))})")
    body = ",\n    ".join(lines)
    remarks = "".join(f"-- {one}\n" for one in _remarks(survey))
    name = f"{_quoted(schema)}.{_quoted(table)}"
    # Not read as a statement of ours: nobody here executes it.
    return f"{remarks}-- Review it, then run it:\nCREATE TABLE {name} (\n    {body}\n);\n"


def proposed_target(name: str, schema: str, table: str, survey: Survey) -> str:
    """Return the section for ``targets.toml``. Raises :class:`NoProposal` if none can be."""
    lines = [f"[{_toml_key(name)}]", f"table = {_toml(f'{schema}.{table}')}"]
    if survey.key:
        lines += [f"key = [{', '.join(map(_toml, survey.key))}]", 'on_conflict = "update"']
    zoneless = [name for name, column in survey.columns.items() if column.is_zoneless]
    if zoneless:
        lines.append(f"# Times in {', '.join(zoneless)} name no zone; which one is meant?")
        lines.append('timezone = "UTC"')
    section = "\n".join(lines) + "\n"
    _, mistakes = read_target(name, tomllib.loads(section)[name])
    if mistakes:
        raise NoProposal("; ".join(mistakes))
    return section


def _column(name: str, survey: Survey) -> str:
    type_ = survey.columns[name].type or ColumnType.TEXT
    nullness = "" if survey.is_nullable(name) and name not in survey.key else " NOT NULL"
    return f"{_quoted(name)} {type_.value}{nullness}"


def _remarks(survey: Survey) -> Iterator[str]:
    yield f"From all {survey.rows:,} rows of the file."
    if survey.first_bad is not None:
        yield (
            f"Left out: {survey.bad:,} bad records, the first in line {survey.first_bad.line}: "
            f"{survey.first_bad.error}"
        )
    if survey.missing_keys:
        yield f"Careful: {survey.missing_keys:,} rows lack a value of the key: they are refused."
    if survey.repeated_keys:
        yield (
            f"Careful: {survey.repeated_keys:,} rows repeat the key of an earlier one, "
            "which the last one replaces."
        )
    if survey.key and not survey.knows_all_keys:
        yield "Repeated keys were not looked for in all rows: there are too many."
    for name, column in survey.columns.items():
        if column.markers and column.narrow is not None:
            yield (
                f"{name} would be {column.narrow.value} but for {_listed(column.markers)}: if that "
                f"means NULL, add --option null={min(column.markers)} here and in file jobs."
            )
        elif column.odd is not None:
            odd, shown = column.odd, repr(column.odd.value)[:_SHOWN_CHARACTERS]
            yield f"{name} would be {odd.before.value} but for {shown}, first in line {odd.line}."
    empty = [name for name, column in survey.columns.items() if column.type is None]
    if empty:
        yield f"No row has a value for: {', '.join(empty)}."


def _refuse_other_delimiter(columns: Sequence[str]) -> None:
    found = [one for one in _OTHER_DELIMITERS if len(columns) == 1 and one in columns[0]]
    if found:
        raise NoProposal(
            f"the only column is called {columns[0]!r}: if {found[0]!r} separates the fields, add "
            f"--option delimiter='{json.dumps(found[0])}', else rename the column"
        )


def _refuse_names(names: Sequence[str]) -> None:
    for name in names:
        if not name or not name.isprintable() or len(name.encode()) > _MOST_NAME_BYTES:
            raise NoProposal(
                f"{name!r} cannot be a name in PostgreSQL (1 to {_MOST_NAME_BYTES} bytes, "
                'all printable): rename it, with --option rename=\'{"from": "to"}\' if it is a '
                "column's"
            )


def _quoted(name: str) -> str:
    if _SIMPLE.fullmatch(name) and name not in _RESERVED:
        return name
    return '"{}"'.format(name.replace('"', '""'))


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(texts)))


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
