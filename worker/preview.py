"""Look at arguments that nobody checked yet: to bound a batch, and in a few words for Flower."""

import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from celery import Celery
from kombu.utils.json import loads

from tasks.kind import Kind, Preview
from worker.waiting import Waiting

_body = msgspec.json.Decoder()


def preview_of(kind: Kind[Any], payload: Any) -> Preview:
    """Look at unchecked arguments, positional or keyword, as the kind sees them."""
    args, kwargs = payload[0], payload[1]
    arguments: dict[str, Any] = dict(zip(kind.payload.__struct_fields__, args, strict=False))
    if isinstance(kwargs, Mapping):
        arguments |= kwargs
    return kind.preview(arguments)


def preview_of_body(kind: Kind[Any], body: str | bytes) -> Preview:
    """Look at a body as it came, base64 text or bytes; see nothing in one that cannot be read."""
    try:
        args, kwargs, *_ = _decoded(body)
        if isinstance(args, list):
            return preview_of(kind, (args, kwargs))
    except (TypeError, ValueError, RecursionError):
        pass
    return kind.preview({})


def subject_of(one: Waiting, app: Celery) -> str:
    """Return the target or report that a job names, as far as it can be read."""
    return preview_of_body(app.tasks[one.task].kind, one.body).subject


def _decoded(body: str | bytes) -> Any:
    raw = binascii.a2b_base64(body) if isinstance(body, str) else body
    try:
        return _body.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        # kombu's reader knows more than the standard does: NaN, for one.
        return loads(raw)
