"""Choose the type of PostgreSQL that holds a column of pandas, and print values as it would."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pandas as pd
from pandas.api import types

from tasks.reports.declared.header import Unanswerable

BOOL, JSONB, TIMESTAMP, TIMESTAMPTZ = 16, 3802, 1114, 1184
NUMBERS = frozenset({20, 701, 1700})
_INT8, _FLOAT8, _NUMERIC = sorted(NUMBERS)
_BYTEA, _TEXT, _UUID = 17, 25, 2950
_BIGINT_BYTES = 8
_DATE, _TIME, _INTERVAL = 1082, 1083, 1186


def oid_of(values: pd.Series) -> int:
    """Name the type of a column; one of objects by what all of them are."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return oid_of(pd.Series(dtype.categories))
    if types.is_datetime64_any_dtype(dtype):
        return _time_oid(values)
    for is_it, oid in _DTYPES:
        if is_it(dtype):
            return oid
    return _oid_of_objects(values[values.notna()])


def printer_of(oid: int) -> Callable[[Any], str]:
    """Return what prints a value of such a column that is not missing."""
    return _PRINTERS.get(oid, _print_any)


def _oid_of_objects(values: pd.Series) -> int:
    kinds = {type(value) for value in values}
    if kinds and kinds <= {datetime, pd.Timestamp}:
        zoned = {value.tzinfo is not None for value in values}
        return _TEXT if len(zoned) > 1 else TIMESTAMPTZ if zoned.pop() else TIMESTAMP
    return _CLASSES.get(kinds.pop(), _TEXT) if len(kinds) == 1 else _TEXT


def _time_oid(values: pd.Series) -> int:
    if values.dt.tz is not None:
        return TIMESTAMPTZ
    # As dates are read, and nothing else by default: see read_frame.
    if values.dt.unit != "s":
        return TIMESTAMP
    known = values[values.notna()]
    return _DATE if (known == known.dt.normalize()).all() else TIMESTAMP


def _is_beyond_bigint(dtype: Any) -> bool:
    return bool(types.is_unsigned_integer_dtype(dtype)) and dtype.itemsize == _BIGINT_BYTES


def _is_text(dtype: Any) -> bool:
    return isinstance(dtype, pd.StringDtype)


def _print_bool(value: Any) -> str:
    return "t" if value else "f"


def _print_float(value: Any) -> str:
    text = repr(float(value)).removesuffix(".0")
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(text, text)


def _print_numeric(value: Any) -> str:
    return format(value, "f") if Decimal(value).is_finite() else _print_float(value)


def _print_date(value: Any) -> str:
    return f"{value:%Y-%m-%d}".zfill(10)


def _print_timestamp(value: Any) -> str:
    return f"{_print_date(value)} {_print_time(value.time())}"


def _print_timestamptz(value: Any) -> str:
    return f"{_print_timestamp(value.astimezone(UTC))}+00"


def _print_time(value: time) -> str:
    text = f"{value:%H:%M:%S.%f}"
    return text.rstrip("0").rstrip(".")


def _print_interval(value: timedelta) -> str:
    """Print a span in ISO 8601, as sessions of ours have PostgreSQL do."""
    microseconds = value // timedelta(microseconds=1)
    sign, rest = ("-" if microseconds < 0 else ""), abs(microseconds)
    minutes, rest = divmod(rest, 60_000_000)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    seconds = f"{rest / 1_000_000:.6f}".rstrip("0").rstrip(".")
    day = f"{sign}{days}D" if days else ""
    clock = "".join(
        f"{sign}{number}{unit}"
        for number, unit in ((str(hour), "H"), (str(minute), "M"), (seconds, "S"))
        if number != "0"
    )
    return f"P{day}T{clock}" if clock else f"P{day}" if day else "PT0S"


def _print_json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _print_bytes(value: bytes) -> str:
    return f"\\x{value.hex()}"


def _print_any(value: Any) -> str:
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Unanswerable(f"text must have an encoding in UTF-8, got {text!r:.80}") from error
    if "\0" in text:
        raise Unanswerable(f"text must hold no NUL character, got {text!r:.80}")
    return text


_DTYPES: Sequence[tuple[Callable[[Any], bool], int]] = (
    (_is_text, _TEXT),
    (types.is_bool_dtype, BOOL),
    (_is_beyond_bigint, _NUMERIC),
    (types.is_integer_dtype, _INT8),
    (types.is_float_dtype, _FLOAT8),
    (types.is_timedelta64_dtype, _INTERVAL),
)
_CLASSES: Mapping[type, int] = MappingProxyType(
    {
        bool: BOOL,
        # Python's own have no bounds.
        int: _NUMERIC,
        float: _FLOAT8,
        Decimal: _NUMERIC,
        date: _DATE,
        time: _TIME,
        timedelta: _INTERVAL,
        dict: JSONB,
        list: JSONB,
        bytes: _BYTEA,
        UUID: _UUID,
    }
)
_PRINTERS: Mapping[int, Callable[[Any], str]] = MappingProxyType(
    {
        BOOL: _print_bool,
        _INT8: lambda value: str(int(value)),
        _FLOAT8: _print_float,
        _DATE: _print_date,
        _TIME: _print_time,
        TIMESTAMP: _print_timestamp,
        TIMESTAMPTZ: _print_timestamptz,
        _INTERVAL: _print_interval,
        JSONB: _print_json,
        _BYTEA: _print_bytes,
        _NUMERIC: _print_numeric,
    }
)
