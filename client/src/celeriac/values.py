"""Write and read values as kombu's JSON does, so that the other side gets them exactly."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

MARKER: Final = "__type__"
VALUE: Final = "__value__"


def encode(value: object) -> str:
    """Write JSON text; raise TypeError, ValueError or RecursionError for what has no form there."""
    return _ENCODER.encode(value) if _write is None else "".join(_write(value, 0))


def decode(text: bytes | str) -> Any:
    """Read JSON text; a marked value of a type unknown here stays the object that it is."""
    return json.loads(text, object_hook=_unmark)


def is_reserved(value: object) -> bool:
    """Tell whether an object of the caller would be read as a marked value, at any depth."""
    if isinstance(value, Mapping):
        return value.keys() == {MARKER, VALUE} or any(map(is_reserved, value.values()))
    return isinstance(value, (list, tuple)) and any(map(is_reserved, value))


class _Encoder(json.JSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, (datetime, date, time)):
            return _marked_time(o)
        if isinstance(o, Decimal):
            return {MARKER: "decimal", VALUE: str(o)}
        if isinstance(o, UUID):
            return {MARKER: "uuid", VALUE: {"hex": o.hex}}
        if isinstance(o, (bytes, bytearray, memoryview)):
            return _marked_bytes(bytes(o))
        if isinstance(o, Mapping):
            return dict(o)
        if isinstance(o, Enum):
            return o.value
        if type(o).__module__ == "numpy":
            return _plain_number(o)
        raise TypeError(f"a {type(o).__qualname__} has no form in JSON")


def _plain_number(value: Any) -> Any:
    """Turn a scalar of numpy into Python's own; numpy need not be imported for that."""
    kind = value.dtype.kind if not getattr(value, "shape", ()) else "array"
    if kind == "M":
        # In its own unit it would become a bare number of nanoseconds.
        return value.astype("datetime64[us]").item()
    if kind not in "biuf":
        raise TypeError(f"a {type(value).__qualname__} of numpy has no form in JSON")
    return value.item()


def _marked_time(value: datetime | date | time) -> dict[str, str]:
    if value != value:  # noqa: PLR0124 - pandas' NaT is a datetime, but no time
        raise TypeError("not a time, write None for a missing one")
    kind = "time" if isinstance(value, time) else "date"
    if isinstance(value, datetime):
        kind = "datetime"
    return {MARKER: kind, VALUE: value.isoformat()}


def _marked_bytes(value: bytes) -> dict[str, str]:
    try:
        return {MARKER: "bytes", VALUE: value.decode("utf-8")}
    except UnicodeDecodeError:
        return {MARKER: "base64", VALUE: base64.b64encode(value).decode("ascii")}


def _unmark(found: dict[str, Any]) -> Any:
    if found.keys() != {MARKER, VALUE}:
        return found
    reader = _READERS.get(found[MARKER]) if isinstance(found[MARKER], str) else None
    return found if reader is None else reader(found[VALUE])


_ENCODER: Final = _Encoder()
# JSONEncoder.encode makes the very same writer anew for each value, which takes longer than
# writing a row. Where Python has no such writer, it does so in Python.
_make: Any = getattr(json.encoder, "c_make_encoder", None)
_write: Final = _make and _make(
    *(None, _ENCODER.default, json.encoder.encode_basestring_ascii, None),
    *(_ENCODER.key_separator, _ENCODER.item_separator, False, False, True),
)
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        "datetime": datetime.fromisoformat,
        "date": lambda text: datetime.fromisoformat(text).date(),
        "time": time.fromisoformat,
        "decimal": Decimal,
        "uuid": lambda parts: UUID(**parts),
        "bytes": lambda text: text.encode("utf-8"),
        "base64": base64.b64decode,
    }
)
