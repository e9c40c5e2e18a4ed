"""Read a message body as it came from any producer, without changing a value.

The fast reader leaves rows as the text they came in, so that PostgreSQL reads
every number exactly. Values in kombu's form ``{"__type__": …}`` and bare NaN
need the slow reader, which writes them as JSON that PostgreSQL reads as the
same values kombu would give.
"""

import base64
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import msgspec

from postgres.lone_surrogates import mask
from tasks.kind import BadPayload

_KOMBU_MARK = '"__type__"'


class Canvas(msgspec.Struct):
    """What a producer wants to happen after the task; see docs/decisions/0004."""

    callbacks: Any = None
    errbacks: Any = None
    chain: Any = None
    chord: Any = None
    #: Ours, not Celery's: the group that the job belongs to, unread.
    celeriac_group: msgspec.Raw = msgspec.Raw(b"")

    def names(self) -> list[str]:
        """Name the parts that were asked for, in Celery's words."""
        words = {"callbacks": "link", "errbacks": "link_error", "chain": "chain", "chord": "chord"}
        return [word for field, word in words.items() if getattr(self, field)]


class Body(msgspec.Struct, array_like=True):
    """A message body of Celery's protocol 2, its arguments still unread."""

    args: list[msgspec.Raw]
    kwargs: dict[str, msgspec.Raw]
    canvas: Canvas | None = None


_fast = msgspec.json.Decoder(Body)


class _NoCanvas(msgspec.Struct):
    """The part of a body in which a producer asks for nothing to follow."""

    callbacks: None = None
    errbacks: None = None
    chain: None = None
    chord: None = None
    # Nor one of ours: a job of a group takes the careful path, which counts it.
    celeriac_group: None = None


def plain_body_type(names: Sequence[str]) -> type[Any]:
    """Return the type of a body that names each of these arguments, no others, and no canvas.

    Its ``kwargs`` is a Struct of them, in this order and still unread.
    """
    members = [(name, msgspec.Raw) for name in names]
    arguments = msgspec.defstruct("Arguments", members, forbid_unknown_fields=True)
    return msgspec.defstruct(
        "PlainBody",
        [("args", tuple[()]), ("kwargs", arguments), ("embed", _NoCanvas | None, None)],
        array_like=True,
    )


def body_type(payload: type[Any]) -> type[Any]:
    """Return the type of a body whose ``kwargs`` is read as this payload, the rest passed over."""
    return msgspec.defstruct("ReadBody", [("args", Any), ("kwargs", payload)], array_like=True)


def read_body(body: bytes) -> Body:
    """Return the body with its arguments still unread.

    Raises :class:`BadPayload` when it is no JSON of Celery's form.
    """
    try:
        text = body.decode("utf-8")
        if _KOMBU_MARK not in text:
            try:
                return _fast.decode(text)
            except msgspec.DecodeError as error:
                if isinstance(error, msgspec.ValidationError):
                    raise
                # Bare NaN and Infinity, perhaps: the slow reader will tell.
        return _fast.decode(plain_json(text))
    except (ValueError, RecursionError, ArithmeticError, TypeError, KeyError) as error:
        raise BadPayload(f"body must be JSON [args, kwargs, embed]: {error}") from error


def plain_json(text: str) -> bytes:
    """Rewrite kombu's typed values and bare NaN as JSON that PostgreSQL reads alike.

    Numbers keep their digits; lone surrogates are masked, for their row to
    answer for them. Raises ValueError for what kombu would refuse.
    """
    value = json.loads(
        mask(text), object_hook=_plain, parse_float=_number, parse_int=_number, parse_constant=str
    )
    return msgspec.json.encode(value)


def _number(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode("ascii"))


def _plain(value: dict[str, Any]) -> Any:
    if value.keys() != {"__type__", "__value__"}:
        return value
    reader = _KOMBU_TYPES.get(value["__type__"])
    if reader is None:
        raise ValueError(f"unsupported __type__ {value['__type__']!r}")
    try:
        return reader(value["__value__"])
    except (ValueError, ArithmeticError, TypeError, AttributeError) as error:
        raise ValueError(f"{value['__value__']!r} is no {value['__type__']}") from error


def _decimal(text: str) -> msgspec.Raw | str:
    number = Decimal(text)
    # JSON has no such numbers; as text PostgreSQL reads them into float and numeric columns.
    return _number(str(number)) if number.is_finite() else str(number)


def _bytea(value: bytes) -> str:
    return "\\x" + value.hex()


#: kombu/utils/json.py, its registered types; a contract test compares every one.
_KOMBU_TYPES: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "datetime": str,
        "date": lambda text: text[:10],
        "time": str,
        "decimal": _decimal,
        "uuid": lambda parts: str(uuid.UUID(**parts)),
        "bytes": lambda text: _bytea(text.encode("utf-8")),
        "base64": lambda text: _bytea(base64.b64decode(text.encode("ascii"), validate=True)),
    }
)
