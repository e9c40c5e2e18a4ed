"""Look at messages just far enough to tell plain jobs from all others.

A plain job needs nothing of Celery's: no ETA, no expiry, no retry, no group
whose result names it. It waits unread; its body is handed to a child as it is.
"""

from collections.abc import Container
from typing import Any, Literal

import msgspec

from worker.waiting import Waiting

#: A guess, to bound batches by rows without reading a body; the child counts, and cuts.
_BYTES_A_ROW = 300


# Without gc: what is read from JSON has no cycles, and lives for this look only.
class _Headers(msgspec.Struct, gc=False):
    id: str
    task: str
    eta: Any = None
    expires: Any = None
    retries: Any = None
    group: Any = None
    parent_id: Any = None
    compression: Any = None
    ignore_result: Any = False
    relayed: Any = False


class _Properties(msgspec.Struct, gc=False):
    body_encoding: Literal["base64"]


class _Message(msgspec.Struct, rename="kebab", gc=False):
    """The form in which nearly all jobs come: protocol 2, JSON, base64.

    The decoder opens the base64, much faster than Python's own module does.
    """

    body: bytes
    headers: _Headers
    properties: _Properties
    content_type: Literal["application/json"]
    content_encoding: Literal["utf-8"]


class _LaxMessage(_Message, gc=False):
    """The same with base64 that only Celery, which is lax with it, may be able to read."""

    body: str  # type: ignore[assignment]  # still to be opened, by the child


class _Id(msgspec.Struct):
    id: str


class _Named(msgspec.Struct):
    headers: _Id


_messages = msgspec.json.Decoder(list[_Message])
_message = msgspec.json.Decoder(_Message)
_lax_message = msgspec.json.Decoder(_LaxMessage)

_named = msgspec.json.Decoder(_Named)


def id_of(raw: bytes) -> str:
    """Return the id of any message, empty if it has none."""
    try:
        return _named.decode(raw).headers.id
    except (msgspec.DecodeError, RecursionError):
        return ""


def read_slab(
    joined: bytes, count: int, slab: int, tasks: Container[str], first: int = 0
) -> list[Waiting | None]:
    """Return the plain jobs of a slab in order, from position ``first`` on; None for all others.

    Raises ValueError when not every message has the usual form: then each has
    to be looked at by itself.
    """
    messages = _messages.decode(b"[%b]" % joined)
    if len(messages) != count:
        raise ValueError(f"{count} messages, but {len(messages)} values")
    return [_plain(message, slab, at, tasks) for at, message in enumerate(messages, first)]


def read_message(raw: bytes, slab: int, position: int, tasks: Container[str]) -> Waiting | None:
    """Return a plain job, or None."""
    for decoder in _message, _lax_message:
        try:
            return _plain(decoder.decode(raw), slab, position, tasks)
        except (msgspec.DecodeError, RecursionError):
            continue
    return None


def _plain(message: _Message, slab: int, position: int, tasks: Container[str]) -> Waiting | None:
    headers = message.headers
    if (
        headers.eta is not None
        or headers.expires is not None
        or headers.retries
        or headers.compression is not None
        or headers.task not in tasks
        or not headers.id
    ):
        return None
    wants_result = not headers.ignore_result
    if wants_result and (headers.group is not None or headers.parent_id is not None):
        # The result names them, in words that only Celery's context knows.
        return None
    rows = 1 + len(message.body) // _BYTES_A_ROW
    job = Waiting(headers.id, headers.task, message.body, wants_result, slab, position, rows=rows)
    if headers.relayed:
        job.is_relayed = True
    return job
