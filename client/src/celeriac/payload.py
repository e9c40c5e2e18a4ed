"""Check a job before it is sent; what passes here, a worker will take.

Every refusal names the field, the value and the limit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from celeriac.contract import (
    FILE_FORMATS,
    FILE_OPTIONS,
    MAX_BODY_BYTES,
    MAX_ID_CHARACTERS,
    REPLAY_IDS,
)
from celeriac.errors import BadPayload
from celeriac.rows import take_rows
from celeriac.shown import shown
from celeriac.values import MARKER, encode, is_reserved

Row = Any

_QUOTED_MARKER: Final = f'"{MARKER}"'


def check_id(job_id: str) -> str:
    """Return the id, which must be short and printable: it becomes a key and a text."""
    if not isinstance(job_id, str):
        raise BadPayload(f"id must be text, got {shown(job_id)}")
    if not 0 < len(job_id) <= MAX_ID_CHARACTERS:
        raise BadPayload(f"id must have 1 to {MAX_ID_CHARACTERS} characters, got {len(job_id)}")
    if not job_id.isprintable():
        raise BadPayload(f"id must have printable characters only, got {shown(job_id)}")
    return job_id


def check_new_id(job_id: str) -> str:
    """Return the id that a new job may have."""
    if check_id(job_id).startswith(REPLAY_IDS):
        raise BadPayload(f"id must not begin as those of replays do, got {shown(job_id)}")
    return job_id


def check_name(field: str, name: str) -> str:
    """Return what a job is called or about, which must be text that PostgreSQL can hold."""
    if not isinstance(name, str) or not name:
        raise BadPayload(f"{field} must be text of 1 character or more, got {shown(name)}")
    if "\0" in name:
        raise BadPayload(f"{field} must be text without NUL characters, got {shown(name)}")
    return name


def check_rows(row_or_rows: object, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the rows as a list of objects with text keys; one row may come alone."""
    return take_rows(row_or_rows, columns)


def check_object(field: str, value: Any) -> dict[str, Any]:
    """Return parameters or options as an object with text keys."""
    if not isinstance(value, Mapping):
        raise BadPayload(f"{field} must be an object, got {shown(value)}")
    for key in value:
        if not isinstance(key, str):
            raise BadPayload(f"{field} must have keys of text, got {shown(key)}")
    return dict(value)


def check_file_format(format_: str) -> str:
    """Return what a file is written in; a name is all that it may be."""
    if check_name("format", format_) not in FILE_FORMATS:
        known = ", ".join(FILE_FORMATS)
        raise BadPayload(f"format must be one of {known}, got {shown(format_)}")
    return format_


def check_file_options(options: Any) -> dict[str, Any]:
    """Return the options of a file; their values are the worker's to judge."""
    found = check_object("options", options)
    for name in found:
        if name not in FILE_OPTIONS:
            known = ", ".join(FILE_OPTIONS)
            raise BadPayload(f"options of a file are {known}, got {shown(name)}")
    return found


def check_fresh_for(seconds: float) -> float:
    """Return how old the answer of a report may be, in seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise BadPayload(f"fresh_for must be a number of seconds from 0, got {shown(seconds)}")
    return seconds


class HasId(Protocol):
    """A ticket, or whatever else stands for a job."""

    @property
    def id(self) -> str:
        """The job's id."""


def check_after(after: "str | HasId") -> str:
    """Return the id of the job, or the position, whose commit a report has to show."""
    name: Any = after if isinstance(after, str) else getattr(after, "id", after)
    return check_name("after", name)


def write_arguments(arguments: Mapping[str, Any]) -> str:
    """Write the arguments of a task as JSON, or name the first value that has no form there."""
    try:
        text = encode(arguments)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadPayload(_first_unwritable(arguments, str(error))) from error
    if _QUOTED_MARKER in text:
        _refuse_reserved(_pieces(arguments))
    return text


def write_row(where: str, row: dict[str, Any]) -> str:
    """Write one row as JSON, the same text as it has among others, or name what has no form."""
    try:
        text = encode(row)
    except (TypeError, ValueError, RecursionError) as error:
        words = _unwritable(_row_pieces(where, row)) or f"{where} cannot be written: {error}"
        raise BadPayload(words) from error
    if _QUOTED_MARKER in text:
        _refuse_reserved(_row_pieces(where, row))
    return text


def check_body(body: str) -> str:
    """Return the body of a message, which must not be too large."""
    # JSON is written in ASCII, so characters are bytes.
    if len(body) > MAX_BODY_BYTES:
        raise BadPayload(f"body must be at most {MAX_BODY_BYTES} bytes, got {len(body)}")
    return body


def _refuse_reserved(pieces: Iterable[tuple[str, Any]]) -> None:
    for where, value in pieces:
        if is_reserved(value):
            raise BadPayload(
                f"{where} must not be an object of {MARKER!r} and '__value__' alone, these two"
                f" are Celery's own, got {shown(value)}"
            )


def _first_unwritable(arguments: Mapping[str, Any], reason: str) -> str:
    found = _unwritable(_pieces(arguments))
    return found or f"arguments cannot be written as JSON: {reason}"


def _unwritable(pieces: Iterable[tuple[str, Any]]) -> str | None:
    for where, value in pieces:
        try:
            encode(value)
        except (TypeError, ValueError, RecursionError) as error:  # noqa: PERF203 - once, on the way out
            return f"{where} cannot be written as JSON, got {shown(value)}: {error}"
    return None


def _pieces(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name each value of the arguments as the caller would, rows by number and column."""
    for name, value in arguments.items():
        if name != "rows":
            yield name, value
            continue
        for number, row in enumerate(value, start=1):
            yield from _row_pieces(f"row {number}", row)


def _row_pieces(where: str, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((f"{where}, column {key!r}", cell) for key, cell in row.items())
    yield where, row
