"""Turn the parameters of a payload into values that PostgreSQL will read as meant."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any
from uuid import UUID

from postgres.lone_surrogates import unmask_shown
from postgres.parameters import Value, ValueType

_SHOWN_CHARACTERS = 80
_MAX_DIGITS = 1000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
#: More of a second than PostgreSQL keeps.
_TOO_FINE = re.compile(r"[.,]\d{6}0*[1-9]")
#: What an array's text may hold without quotes; the bare word NULL would be none.
_BARE = re.compile(r"(?!null$)[\w.:+-]+", re.ASCII | re.IGNORECASE)


class BadValue(ValueError):
    """A value that is not of its parameter's type; says what would be."""


def value_of(kind: ValueType, given: Any) -> Value:
    """Return the value of a parameter, or raise :class:`BadValue`; None is NULL.

    Accepts what JSON carries and what kombu makes of its marked dates,
    decimals and UUIDs.
    """
    if given is None:
        return Value(kind, None)
    convert, allowed = _TYPES[kind]
    text = convert(given)
    if text is None:
        raise BadValue(f"must be {allowed}, got {shown(given)}")
    return Value(kind, text)


def array_of(kind: ValueType, elements: Sequence[Value]) -> Value:
    """Return the array of elements that have a text each."""
    texts = tuple(element.text or "" for element in elements)
    return Value(kind, "{" + ",".join(map(_element, texts)) + "}", is_array=True, elements=texts)


def meaning(value: Value) -> object:
    """Return what a value is in Python: a number, a date, a list; None for NULL."""
    if value.text is None:
        return None
    read = _MEANINGS[value.type]
    return [read(text) for text in value.elements] if value.is_array else read(value.text)


def shown(given: Any) -> str:
    """Show a foreign value in a message, shortened."""
    text = unmask_shown(repr(given))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _element(text: str) -> str:
    """Quote an element inside the text of an array."""
    if _BARE.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(given: Any) -> str | None:
    if not isinstance(given, str) or "\0" in given:
        return None
    try:
        given.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair is legal in JSON and in no encoding.
        return None
    return given


def _whole(bits: int) -> Callable[[Any], str | None]:
    def convert(given: Any) -> str | None:
        if not isinstance(given, int) or isinstance(given, bool):
            return None
        return str(given) if -(2 ** (bits - 1)) <= given < 2 ** (bits - 1) else None

    return convert


def _numeric(given: Any) -> str | None:
    if isinstance(given, bool) or not isinstance(given, int | float | str | Decimal):
        return None
    if isinstance(given, str) and not _NUMBER.fullmatch(given):
        # Python takes spaces, underscores and the digits of every script.
        return None
    try:
        number = Decimal(str(given))
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite() or len(number.as_tuple().digits) > _MAX_DIGITS:
        return None
    return format(number, "f") if abs(number.adjusted()) <= _MAX_DIGITS else None


def _date(given: Any) -> str | None:
    if isinstance(given, date) and not isinstance(given, datetime):
        return given.isoformat()
    if not isinstance(given, str) or not _DATE.fullmatch(given):
        return None
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        return None


def _timestamptz(given: Any) -> str | None:
    if isinstance(given, str) and _TOO_FINE.search(given):
        return None
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else given
    except ValueError:
        return None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        return None
    return moment.isoformat()


def _bool(given: Any) -> str | None:
    return str(given).lower() if isinstance(given, bool) else None


def _uuid(given: Any) -> str | None:
    try:
        given = UUID(given) if isinstance(given, str) else given
    except ValueError:
        return None
    return str(given) if isinstance(given, UUID) else None


_TYPES: Mapping[ValueType, tuple[Callable[[Any], str | None], str]] = MappingProxyType(
    {
        ValueType.TEXT: (_text, "a string without NUL characters or half surrogate pairs"),
        ValueType.INT: (_whole(32), "a whole number of 32 bits"),
        ValueType.BIGINT: (_whole(64), "a whole number of 64 bits"),
        ValueType.NUMERIC: (_numeric, f"a finite number of at most {_MAX_DIGITS} digits"),
        ValueType.DATE: (_date, "a date as YYYY-MM-DD"),
        ValueType.TIMESTAMPTZ: (
            _timestamptz,
            "an ISO 8601 date and time with its offset, to the microsecond at most",
        ),
        ValueType.BOOL: (_bool, "true or false"),
        ValueType.UUID: (_uuid, "a UUID"),
    }
)

_MEANINGS: Mapping[ValueType, Callable[[str], object]] = MappingProxyType(
    {
        ValueType.TEXT: str,
        ValueType.INT: int,
        ValueType.BIGINT: int,
        ValueType.NUMERIC: Decimal,
        ValueType.DATE: date.fromisoformat,
        ValueType.TIMESTAMPTZ: datetime.fromisoformat,
        ValueType.BOOL: "true".__eq__,
        ValueType.UUID: UUID,
    }
)
