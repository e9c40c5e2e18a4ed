"""Mask the values that a target says nobody should read outside of it."""

import json
from collections.abc import Collection
from dataclasses import replace

import msgspec

from postgres.quarantine import QuarantinedRow

#: What stands where a value was; as JSON in a row, bare in a message.
MASK = "[redacted]"
_MASK_JSON = msgspec.Raw(json.dumps(MASK).encode())

#: A shorter value is not looked for in messages: it would be found anywhere.
_LOOKED_FOR_CHARACTERS = 3


def redact(row: QuarantinedRow, columns: Collection[str]) -> QuarantinedRow:
    """Mask these columns in the row and in the reason, as far as the reason quotes their values.

    A row that cannot be read column by column is masked as a whole.
    """
    if not columns:
        return row
    try:
        members = msgspec.json.decode(row.row, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return replace(row, row=json.dumps(MASK), message=MASK, redacted=tuple(sorted(columns)))
    found = sorted(members.keys() & set(columns))
    values = [bytes(members[name]).decode("utf-8", "backslashreplace") for name in found]
    masked = members | dict.fromkeys(found, _MASK_JSON)
    return replace(
        row,
        row=msgspec.json.encode(masked).decode(),
        message=_masked(row.message, values, hides_guilty=row.column in columns),
        redacted=tuple(found),
    )


def _masked(message: str, values: Collection[str], *, hides_guilty: bool) -> str:
    """Mask values where a message has them; of a guilty column, all that comes after a colon."""
    for value in sorted(map(_text, values), key=len, reverse=True):
        if len(value) >= _LOOKED_FOR_CHARACTERS:
            message = message.replace(value, MASK)
    if hides_guilty and ": " in message:
        # PostgreSQL ends with the value: invalid input syntax for type integer: "…".
        message = f"{message.partition(': ')[0]}: {MASK}"
    return message


def _text(value: str) -> str:
    """Return a JSON value as PostgreSQL quotes it."""
    decoded = msgspec.json.decode(value) if value.startswith('"') else value
    return str(decoded)
