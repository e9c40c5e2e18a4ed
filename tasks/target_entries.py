"""Turn one declaration of the catalog into a target, or say everything that is wrong with it."""

import math
import re
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec

from celeriac.contract import SEVERAL_TARGETS, SUBJECT_SEPARATOR
from postgres.insert_rows import OnConflict
from tasks.target import ColumnRule, MaxBad, OnBadRow, Target

_TABLE = re.compile(r"(?:(?P<schema>[^.\s]+)\.)?(?P<name>[^.\s]+)")
_MISSING = object()
_SHOWN_CHARACTERS = 80


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    member: str | None = msgspec.field(default=None, name="from")
    default: Any = _MISSING
    constant: Any = _MISSING


class _MaxBad(msgspec.Struct, forbid_unknown_fields=True):
    rows: int | None = None
    share: float | None = None


class _Provenance(msgspec.Struct, forbid_unknown_fields=True):
    job: str | None = None
    batch: str | None = None


def read_target(name: str, declared: Any) -> tuple[Target | None, list[str]]:
    """Return the target, or None and every mistake: entry, value and remedy."""
    if not isinstance(declared, dict):
        return None, [f"{declared!r} is no section: write [{name}] and its entries below"]
    found: dict[str, Any] = {}
    mistakes = [*_wrong_name(name), *_unknown_entries(declared)]
    for entry in _ENTRIES.keys() & declared.keys():
        try:
            found |= _ENTRIES[entry](declared[entry])
        except (msgspec.ValidationError, ValueError) as error:
            mistakes.append(f"{entry} = {_shown(declared[entry])}: {error}")
    if "table" not in declared:
        mistakes.append('`table` is missing: write table = "schema.name"')
    if mistakes:
        return None, sorted(mistakes)
    target = Target(**{"name": name, "key": (), "on_conflict": OnConflict.ERROR, **found})
    mistakes = [*_contradictions(target)]
    return (None, mistakes) if mistakes else (target, [])


def _wrong_name(name: str) -> Iterator[str]:
    if not name or name == SEVERAL_TARGETS or SUBJECT_SEPARATOR in name:
        yield (
            f"the name {name!r} stands for something else in jobs: "
            f"use one without {SUBJECT_SEPARATOR!r}, and not {SEVERAL_TARGETS!r}"
        )


def _unknown_entries(declared: Mapping[str, Any]) -> Iterator[str]:
    for entry in declared.keys() - _ENTRIES.keys():
        close = get_close_matches(entry, _ENTRIES, n=1)
        meant = f"did you mean {close[0]}" if close else f"there are: {', '.join(_ENTRIES)}"
        yield f"{entry} = {_shown(declared[entry])}: no such entry, {meant}"


def _table(value: Any) -> dict[str, Any]:
    found = _TABLE.fullmatch(msgspec.convert(value, str))
    if found is None:
        raise ValueError(
            'must be one schema and one name, without blanks and further dots: write "schema.name"'
        )
    return {"schema": found["schema"] or "public", "table": found["name"]}


def _key(value: Any) -> dict[str, Any]:
    key = msgspec.convert(value, tuple[str, ...])
    if not all(key) or len(set(key)) < len(key):
        raise ValueError('must name different columns: write key = ["id"]')
    return {"key": key}


def _on_conflict(value: Any) -> dict[str, Any]:
    return {"on_conflict": _one_of(OnConflict, value)}


def _on_bad_row(value: Any) -> dict[str, Any]:
    return {"on_bad_row": _one_of(OnBadRow, value)}


def _newest(value: Any) -> dict[str, Any]:
    return {"newest": _column(value)}


def _unknown(value: Any) -> dict[str, Any]:
    if value == "reject":
        return {}
    if value == "ignore":
        return {"ignores_unknown": True}
    return {"unknown_column": _column(value)}


def _columns(value: Any) -> dict[str, Any]:
    declared = msgspec.convert(value, dict[str, Any])
    rules = tuple(_rule(column, rule) for column, rule in declared.items())
    members = Counter(rule.member for rule in rules if rule.member is not None)
    twice = [member for member, count in members.items() if count > 1]
    if twice:
        raise ValueError(f"from = {twice[0]!r} feeds several columns: leave it to one of them")
    return {"columns": rules}


def _rule(column: str, declared: Any) -> ColumnRule:
    try:
        rule = msgspec.convert(declared, _Rule)
    except msgspec.ValidationError as error:
        raise ValueError(f"{column}: {error}") from error
    is_constant = rule.constant is not _MISSING
    if is_constant == (rule.member is not None or rule.default is not _MISSING):
        raise ValueError(f"{column}: give from, default or both, or else a constant alone")
    if "" in (column, rule.member):
        raise ValueError(f"{column}: a name must have a character or more")
    if is_constant:
        return ColumnRule(column, None, None, _json(column, rule.constant))
    default = None if rule.default is _MISSING else _json(column, rule.default)
    return ColumnRule(column, column if rule.member is None else rule.member, default)


def _json(column: str, value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f'{column}: {value} has no form in JSON: write it as text, "{value}"')
    return msgspec.json.encode(value).decode()


def _timezone(value: Any) -> dict[str, Any]:
    name = msgspec.convert(value, str)
    # A machine without a list of zones cannot say no; PostgreSQL will.
    if _zones() and name not in _zones():
        close = get_close_matches(name, _zones(), n=1)
        meant = f", did you mean {close[0]!r}" if close else ', write it as in "Europe/Berlin"'
        raise ValueError(f"no such time zone{meant}")
    return {"timezone": name}


def _provenance(value: Any) -> dict[str, Any]:
    columns = msgspec.convert(value, _Provenance)
    if columns.job == columns.batch or "" in (columns.job, columns.batch):
        raise ValueError("must name different columns: write { job = … }, { batch = … } or both")
    return {"job_column": columns.job, "batch_column": columns.batch}


def _max_bad(value: Any) -> dict[str, Any]:
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"rows": value}
    most = msgspec.convert(value, _MaxBad)
    if most.rows is None and most.share is None:
        raise ValueError("must have rows, share or both: write max_bad = { rows = 100 }")
    if most.rows is not None and most.rows < 0:
        raise ValueError("rows must be 0 or more")
    if most.share is not None and not 0 <= most.share < 1:
        raise ValueError("share must be 0 or more and below 1")
    return {"max_bad": MaxBad(most.rows, most.share)}


def _redact(value: Any) -> dict[str, Any]:
    columns = msgspec.convert(value, tuple[str, ...])
    if not columns or not all(columns):
        raise ValueError('must name columns: write redact = ["email"]')
    return {"redact": columns}


_ENTRIES: Mapping[str, Callable[[Any], dict[str, Any]]] = MappingProxyType(
    {
        "table": _table,
        "key": _key,
        "on_conflict": _on_conflict,
        "newest": _newest,
        "unknown": _unknown,
        "columns": _columns,
        "timezone": _timezone,
        "provenance": _provenance,
        "on_bad_row": _on_bad_row,
        "max_bad": _max_bad,
        "redact": _redact,
    }
)


def _contradictions(target: Target) -> Iterator[str]:
    """Say which entries, each right by itself, do not go together."""
    if target.on_conflict is not OnConflict.ERROR and not target.key:
        yield f'on_conflict = {target.on_conflict.value!r} needs a key: write key = ["id"]'
    if target.newest and target.on_conflict is not OnConflict.UPDATE:
        yield f'newest = {target.newest!r} is about updates: write on_conflict = "update"'
    if target.newest in target.key:
        yield f"newest = {target.newest!r} is part of the key: name a column that changes"
    if target.max_bad and target.on_bad_row is OnBadRow.REJECT_JOB:
        yield 'max_bad counts rows that are set aside: remove it, or on_bad_row = "reject_job"'
    yield from _filled_twice(target)


def _filled_twice(target: Target) -> Iterator[str]:
    fillers = [(rule.column, "columns") for rule in target.columns]
    fillers += [(target.unknown_column or "", "unknown")]
    fillers += [(target.job_column or "", "provenance"), (target.batch_column or "", "provenance")]
    counts = Counter(column for column, _ in fillers if column)
    for column, count in counts.items():
        if count > 1:
            entries = " and ".join(entry for one, entry in fillers if one == column)
            yield f"{entries} both fill column {column!r}: leave it to one of them"
    if target.unknown_column and target.unknown_column in (*target.key, target.newest):
        yield f"unknown = {target.unknown_column!r} is part of the key, or newest: use another"
    constants = {rule.column for rule in target.columns if rule.constant is not None}
    if target.newest in {*constants, target.job_column, target.batch_column} - {None}:
        yield f"newest = {target.newest!r} is not brought by rows: name a column that is"


def _column(value: Any) -> str:
    column = msgspec.convert(value, str)
    if not column:
        raise ValueError("must name a column")
    return column


def _one_of(choices: Any, value: Any) -> Any:
    try:
        return choices(value)
    except ValueError as error:
        raise ValueError(f"must be one of {', '.join(map(repr, map(str, choices)))}") from error


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
