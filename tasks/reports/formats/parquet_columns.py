"""Choose the Arrow type of each column by the type that PostgreSQL gave it.

Whatever has no type that holds every value of PostgreSQL's is text, as PostgreSQL
prints it: numeric without a precision, uuid, json, arrays, intervals, enumerations.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa
from pyarrow import compute

from postgres.snapshot import Column

#: What becomes of a column that was read as text.
Finish = Callable[[pa.ChunkedArray], pa.ChunkedArray]

_BYTEA, _NUMERIC = 17, 1700
#: By the OIDs of types.
_TYPES: Mapping[int, pa.DataType] = MappingProxyType(
    {
        16: pa.bool_(),
        21: pa.int16(),
        23: pa.int32(),
        20: pa.int64(),
        26: pa.uint32(),
        700: pa.float32(),
        701: pa.float64(),
        _BYTEA: pa.binary(),
        1082: pa.date32(),
        1083: pa.time64("us"),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", tz="UTC"),
    }
)
_MOST_DIGITS = 76
_MOST_PARSED_DIGITS = 38
#: Of a bytea as PostgreSQL prints it.
_HEX_MARK = "\\x"


def arrow_type(column: Column) -> pa.DataType:
    """Return the type of a column in the file."""
    if column.type_oid == _NUMERIC:
        return _decimal(column)
    return _TYPES.get(column.type_oid, pa.string())


def finishes(columns: Sequence[Column]) -> dict[int, Finish]:
    """Return by place what is read as text first, because the reader of CSV cannot make it."""
    found: dict[int, Finish] = {}
    for place, column in enumerate(columns):
        type_ = arrow_type(column)
        if pa.types.is_binary(type_):
            found[place] = _bytes
        elif pa.types.is_decimal256(type_):
            found[place] = _cast(type_)
    return found


def _decimal(column: Column) -> pa.DataType:
    """Return a type with so many digits before and after the point, or text if none has."""
    if column.precision is None or column.scale is None:
        return pa.string()
    # A scale may be negative, or greater than the precision; of Arrow's, neither may.
    scale = max(0, column.scale)
    digits = max(column.precision + scale - column.scale, scale)
    if digits > _MOST_DIGITS:
        return pa.string()
    wide = digits > _MOST_PARSED_DIGITS
    return pa.decimal256(digits, scale) if wide else pa.decimal128(digits, scale)


def _cast(type_: pa.DataType) -> Finish:
    return lambda texts: compute.cast(texts, type_)


def _bytes(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    values = [None if text is None else _unhexed(text) for text in texts.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.binary())])


def _unhexed(text: str) -> bytes:
    if not text.startswith(_HEX_MARK):
        raise pa.ArrowInvalid(f"{text:.80}: bytea_output must be hex")
    return bytes.fromhex(text[len(_HEX_MARK) :])
