"""The bytes of a message: what a child reads, and what is kept of one that nobody can."""

import json
from typing import TypeGuard

from kombu.utils.json import dumps

from worker.relay.message import RELAYED
from worker.request import RawMessage, Request

#: Set by the broker on redelivery: two deliveries of one message must look alike.
_BROKERS_OWN = frozenset({"redelivered"})


def is_text(value: object) -> TypeGuard[str]:
    """Whether it is a string that can be written anywhere; JSON may hold half a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_relayed(request: Request | RawMessage) -> bool:
    """Whether the message says that it came by the outbox."""
    headers = request.headers if isinstance(request, RawMessage) else request.request_dict
    return bool(headers.get(RELAYED))


def body_of(request: Request) -> bytes:
    """Return the body, unread, as protocol 2 writes it: ``[args, kwargs, embed]``."""
    body = request.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode("utf-8")
    # Protocol 1: Celery has decoded it, into the parts of protocol 2.
    text: str = dumps(body)
    return text.encode("utf-8")


def kept_form(raw: RawMessage) -> bytes:
    """Return a message as JSON text, headers and all, the same at every delivery."""
    body = raw.message.body
    kept = {
        "headers": {name: one for name, one in raw.headers.items() if name not in _BROKERS_OWN},
        "content-type": raw.message.content_type,
        "content-encoding": raw.message.content_encoding,
        "body": body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body,
    }
    return json.dumps(kept, default=repr, sort_keys=True).encode("utf-8")
