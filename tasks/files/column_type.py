"""Find the narrowest type that holds all values of a column, as they come from a file."""

import re
from contextlib import suppress
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

# No leading zero, plus sign or space: whoever writes 007 or +49 means a text.
_WHOLE = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?|NaN|-?Infinity", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?P<zone> ?(?:Z|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_TRUTHS = frozenset({"true", "false", "t", "f", "yes", "no"})
_INTEGER_MOST, _BIGINT_MOST = 2**31 - 1, 2**63 - 1
#: Longer ones are texts whatever they look like, and Python takes its time to read them.
_LONGEST_NUMBER_CHARACTERS = 1000


class ColumnType(Enum):
    """A type of PostgreSQL's that a proposal may name."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    BIGINT = "bigint"
    NUMERIC = "numeric"
    DATE = "date"
    TIMESTAMPTZ = "timestamptz"
    UUID = "uuid"
    JSONB = "jsonb"
    TEXT = "text"


#: From narrow to wide, where one kind of value may be written as another.
_LADDERS = (
    (ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.NUMERIC),
    (ColumnType.DATE, ColumnType.TIMESTAMPTZ),
)


def type_of(value: Any) -> tuple[ColumnType, bool]:
    """Return the narrowest type for a value that is not NULL, and whether it is a zoneless time."""
    if isinstance(value, str):
        return _type_of_text(value)
    if isinstance(value, bool):
        return ColumnType.BOOLEAN, False
    if isinstance(value, int):
        return _type_of_whole(value), False
    return (ColumnType.NUMERIC if isinstance(value, float) else ColumnType.JSONB), False


def joined(one: ColumnType | None, other: ColumnType) -> ColumnType:
    """Return the narrowest type that holds the values of both."""
    if one is None or one is other:
        return other
    for ladder in _LADDERS:
        if one in ladder and other in ladder:
            return max(one, other, key=ladder.index)
    return ColumnType.JSONB if ColumnType.JSONB in {one, other} else ColumnType.TEXT


def _type_of_text(text: str) -> tuple[ColumnType, bool]:
    if len(text) <= _LONGEST_NUMBER_CHARACTERS and _WHOLE.fullmatch(text):
        return _type_of_whole(int(text)), False
    if len(text) <= _LONGEST_NUMBER_CHARACTERS and _NUMBER.fullmatch(text):
        return ColumnType.NUMERIC, False
    if text.lower() in _TRUTHS:
        return ColumnType.BOOLEAN, False
    # What looks like a date need not be one: the thirtieth of February.
    with suppress(ValueError):
        if _DATE.fullmatch(text) and date.fromisoformat(text):
            return ColumnType.DATE, False
        found = _TIME.fullmatch(text)
        if found and datetime.fromisoformat(text.removesuffix(found["zone"] or "")):
            return ColumnType.TIMESTAMPTZ, found["zone"] is None
        if _UUID.fullmatch(text) and UUID(text):
            return ColumnType.UUID, False
    return ColumnType.TEXT, False


def _type_of_whole(value: int) -> ColumnType:
    if -_INTEGER_MOST <= value <= _INTEGER_MOST:
        return ColumnType.INTEGER
    return ColumnType.BIGINT if -_BIGINT_MOST <= value <= _BIGINT_MOST else ColumnType.NUMERIC
