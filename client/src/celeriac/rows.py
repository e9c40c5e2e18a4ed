"""Read rows in the forms in which applications have them: each becomes an object.

pandas is known by its class alone and never imported.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any

from celeriac.contract import MAX_ROWS
from celeriac.errors import BadPayload
from celeriac.shown import shown

#: The usual rows, told apart from frames at once.
_NEVER_FRAMES = frozenset({dict, tuple, list})
#: So many rows of a frame become Python values at a time.
FRAME_ROWS = 1_000


def row_object(where: str, row: Any, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a row as an object with text keys, or raise :class:`BadPayload` naming it.

    A row is a mapping, a dataclass, a named tuple, anything with ``keys()``
    (a record of a database driver), or, with ``columns``, a sequence of values.
    """
    found = row if type(row) is dict else _members(where, row, columns)
    for key in found:
        # json would write 1, True and None as "1", "true" and "null", and merge what meets there.
        if not isinstance(key, str):
            raise BadPayload(f"{where} must have keys of text, got {shown(key)}")
    return found


def each_row(row_or_rows: Any) -> Iterator[Any]:
    """Return the rows of whatever holds rows; one row may come alone, frames may be among them."""
    if is_one_row(row_or_rows):
        return iter([row_or_rows])
    if is_frame(row_or_rows):
        return frame_rows(row_or_rows)
    if isinstance(row_or_rows, (str, bytes)) or not isinstance(row_or_rows, Iterable):
        raise BadPayload(f"rows must be objects, got {shown(row_or_rows)}")
    return flat(row_or_rows)


def flat(items: Iterable[Any]) -> Iterator[Any]:
    """Return items one by one, and the rows of those that are frames."""
    for item in items:
        if is_frame(item):
            yield from frame_rows(item)
        else:
            yield item


def take_rows(row_or_rows: Any, columns: Sequence[str] | None) -> list[dict[str, Any]]:
    """Return the rows of one job, or raise :class:`BadPayload`."""
    check_columns(columns)
    # One more than the limit is enough to know, however long the iterable is.
    rows = list(islice(each_row(row_or_rows), MAX_ROWS + 1))
    if not 0 < len(rows) <= MAX_ROWS:
        count = len(row_or_rows) if hasattr(row_or_rows, "__len__") else len(rows)
        raise BadPayload(f"rows must be 1 to {MAX_ROWS}, got {count}")
    return [row_object(f"row {number}", row, columns) for number, row in enumerate(rows, 1)]


def check_columns(columns: Sequence[str] | None) -> None:
    """Refuse columns that are no list of different names."""
    if columns is None:
        return
    if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
        raise BadPayload(f"columns must be a list of names, got {shown(columns)}")
    if len(set(columns)) != len(columns):
        raise BadPayload(f"columns must be different names, got {shown(columns)}")


def is_one_row(value: Any) -> bool:
    """Tell whether a value is a row by itself, not a collection of rows."""
    if isinstance(value, type) or is_frame(value):
        return False
    return isinstance(value, Mapping) or is_dataclass(value) or _has_names(value)


def is_frame(value: Any) -> bool:
    """Tell whether a value is a DataFrame of pandas, or of a subclass."""
    kinds = () if type(value) in _NEVER_FRAMES else type(value).__mro__
    return any(kind.__name__ == "DataFrame" and _is_pandas(kind) for kind in kinds)


def frame_rows(frame: Any) -> Iterator[dict[str, Any]]:
    """Return the rows of a frame as objects; what pandas counts as missing becomes None.

    The index is left out. Times lose their nanoseconds below a microsecond.
    """
    names = list(frame.columns)
    check_columns(names)
    for first in range(0, len(frame), FRAME_ROWS):
        part = frame.iloc[first : first + FRAME_ROWS]
        columns = [_column_values(part.iloc[:, at]) for at in range(len(names))]
        for values in zip(*columns):  # noqa: B905 - columns of one frame are of one length
            yield dict(zip(names, values))  # noqa: B905 - the same


def _members(where: str, row: Any, columns: Sequence[str] | None) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return dict(row)
    if is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name) for field in fields(row)}
    if _has_names(row):
        names = row._fields if hasattr(row, "_fields") else row.keys()
        return dict(zip(names, row, strict=True)) if isinstance(row, tuple) else dict(row)
    if columns is None or isinstance(row, (str, bytes)) or not isinstance(row, Sequence):
        raise BadPayload(f"{where} must be an object{_hint(row)}, got {shown(row)}")
    if len(row) != len(columns):
        raise BadPayload(f"{where} must have {len(columns)} values, got {len(row)}: {shown(row)}")
    return dict(zip(columns, row, strict=True))


def _hint(row: Any) -> str:
    return ", or columns must be given" if isinstance(row, tuple) else ""


def _has_names(row: Any) -> bool:
    return (isinstance(row, tuple) and hasattr(row, "_fields")) or (
        hasattr(row, "keys") and hasattr(row, "__getitem__")
    )


def _is_pandas(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "pandas"


def _column_values(column: Any) -> list[Any]:
    values: list[Any] = column.tolist()
    if column.dtype.kind == "M":
        return [one.to_pydatetime(warn=False) if one == one else None for one in values]  # noqa: PLR0124 - NaT
    missing = column.isna()
    if missing.any():
        gone = missing.tolist()
        values = [None if is_gone else value for value, is_gone in zip(values, gone, strict=True)]
    return values
