"""Check a job before it is sent; what passes here, a worker will take.

Every refusal names the field, the value and the limit.
"""

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import islice
from typing import Any

from celeriac.contract import MAX_BODY_BYTES, MAX_ID_CHARACTERS, MAX_ROWS
from celeriac.errors import BadPayload
from celeriac.values import MARKER, encode, is_reserved

Row = Mapping[str, Any]

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80


def check_id(job_id: str) -> str:
    """Return the id, which must be short and printable: it becomes a key and a text."""
    if not isinstance(job_id, str):
        raise BadPayload(f"id must be text, got {_shown(job_id)}")
    if not 0 < len(job_id) <= MAX_ID_CHARACTERS:
        raise BadPayload(f"id must have 1 to {MAX_ID_CHARACTERS} characters, got {len(job_id)}")
    if not job_id.isprintable():
        raise BadPayload(f"id must have printable characters only, got {_shown(job_id)}")
    return job_id


def check_name(field: str, name: str) -> str:
    """Return the name of a target, a report or a format, which must be text."""
    if not isinstance(name, str) or not name:
        raise BadPayload(f"{field} must be text of 1 character or more, got {_shown(name)}")
    return name


def check_rows(row_or_rows: object) -> list[dict[str, Any]]:
    """Return the rows as a list of objects with text keys; one row may come alone."""
    if isinstance(row_or_rows, Mapping):
        row_or_rows = [row_or_rows]
    if isinstance(row_or_rows, (str, bytes)) or not isinstance(row_or_rows, Iterable):
        raise BadPayload(f"rows must be objects, got {_shown(row_or_rows)}")
    # One more than the limit is enough to know, however long the iterable is.
    rows = list(islice(row_or_rows, MAX_ROWS + 1))
    if not 0 < len(rows) <= MAX_ROWS:
        count = len(row_or_rows) if isinstance(row_or_rows, Sized) else len(rows)
        raise BadPayload(f"rows must be 1 to {MAX_ROWS}, got {count}")
    return [_check_object(f"row {number}", row) for number, row in enumerate(rows, start=1)]


def check_params(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the parameters of a report as an object with text keys, or None."""
    return None if params is None else _check_object("params", params)


def write_arguments(arguments: Mapping[str, Any]) -> str:
    """Write the arguments of a task as JSON, or name the first value that has no form there."""
    try:
        text = encode(arguments)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadPayload(_first_unwritable(arguments, str(error))) from error
    if f'"{MARKER}"' in text:
        _refuse_reserved(arguments)
    return text


def check_body(body: str) -> str:
    """Return the body of a message, which must not be too large."""
    # JSON is written in ASCII, so characters are bytes.
    if len(body) > MAX_BODY_BYTES:
        raise BadPayload(f"body must be at most {MAX_BODY_BYTES} bytes, got {len(body)}")
    return body


def _shown(value: object) -> str:
    try:
        return _repr.repr(value)
    except ValueError:
        # The text of an integer has a limit of its own.
        return f"a {type(value).__qualname__} too long to show"


def _check_object(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise BadPayload(f"{where} must be an object, got {_shown(value)}")
    for key in value:
        # json would write 1, True and None as "1", "true" and "null", and merge what meets there.
        if not isinstance(key, str):
            raise BadPayload(f"{where} must have keys of text, got {_shown(key)}")
    return value if type(value) is dict else dict(value)


def _refuse_reserved(arguments: Mapping[str, Any]) -> None:
    for where, value in _pieces(arguments):
        if is_reserved(value):
            raise BadPayload(
                f"{where} must not be an object of {MARKER!r} and '__value__' alone, these two"
                f" are Celery's own, got {_shown(value)}"
            )


def _first_unwritable(arguments: Mapping[str, Any], reason: str) -> str:
    for where, value in _pieces(arguments):
        try:
            encode(value)
        except (TypeError, ValueError, RecursionError) as error:  # noqa: PERF203 - once, on the way out
            return f"{where} cannot be written as JSON, got {_shown(value)}: {error}"
    return f"arguments cannot be written as JSON: {reason}"


def _pieces(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name each value of the arguments as the caller would, rows by number and column."""
    for name, value in arguments.items():
        if name != "rows":
            yield name, value
            continue
        for number, row in enumerate(value, start=1):
            yield from ((f"row {number}, column {key!r}", cell) for key, cell in row.items())
            yield f"row {number}", row
