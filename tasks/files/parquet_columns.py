"""Write a column of Parquet so that PostgreSQL reads the same values."""

import math
from typing import Any

import pyarrow as pa
from pyarrow import types


def is_nested(type_: pa.DataType) -> bool:
    """Tell whether a column's values are lists, structs or maps."""
    return bool(types.is_nested(type_))


def as_csv_column(column: pa.Array) -> pa.Array:
    """Return a column that pyarrow can write as CSV and PostgreSQL can read."""
    type_ = column.type
    if types.is_dictionary(type_):
        return as_csv_column(column.cast(type_.value_type))
    if types.is_string_view(type_):
        return column.cast(pa.large_string())
    if _is_binary(type_) or types.is_duration(type_):
        return pa.array(as_json_column(column), pa.large_string())
    return column


def as_json_column(column: pa.Array) -> list[Any]:
    """Return a column's values as msgspec writes them, and PostgreSQL reads them.

    What JSON has no number for is text; inside lists and structs it becomes null.
    """
    type_ = column.type
    if types.is_duration(type_):
        column = column.cast(pa.duration("us"), safe=False).cast(pa.int64())
        return [None if one is None else f"{one} microseconds" for one in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    if _is_binary(type_):
        return [None if one is None else f"\\x{one.hex()}" for one in values]
    if types.is_floating(type_):
        return [str(one) if one is not None and not math.isfinite(one) else one for one in values]
    if types.is_timestamp(type_):
        return [None if one is None else str(one) for one in values]
    return values


def _is_binary(type_: pa.DataType) -> bool:
    return bool(
        types.is_binary(type_)
        or types.is_large_binary(type_)
        or types.is_fixed_size_binary(type_)
        or types.is_binary_view(type_)
    )
