"""Let nothing reach kombu that it cannot take apart: it would lose it, and the worker with it.

Anybody can push anything to a Redis list. What is no message of kombu's form
is put, whole, into one that says so; the consumer then buries it.
"""

import base64
import binascii
import json
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Literal
from uuid import uuid4

import msgspec
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from worker.transport import bindings

#: Header of a message that we made of something else; its text says what was wrong.
UNREADABLE = "celeriac-unreadable"


class _DeliveryInfo(msgspec.Struct):
    exchange: str
    routing_key: str


class _Properties(msgspec.Struct):
    delivery_tag: str
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"] | None = None


class _Envelope(msgspec.Struct, rename="kebab"):
    """What kombu relies on before anybody can catch its errors."""

    properties: _Properties
    headers: dict[str, msgspec.Raw] | None = None
    body: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_values = msgspec.json.Decoder(list[msgspec.Raw])


def readable(raw: bytes, queue: str) -> bytes:
    """Return the message as it came if kombu can take it apart, else one that holds it."""
    try:
        found = _envelope.decode(raw)
        if found.properties.body_encoding and found.body:
            binascii.a2b_base64(found.body)
        # kombu reads it again, by rules that differ in corners: numbers of 5,000 digits, say.
        loads(bytes_to_str(raw))
    except (ValueError, RecursionError) as error:
        return wrap(raw, queue, str(error))
    return raw


def raws(joined: bytes, places: Collection[int]) -> dict[int, bytes]:
    """Return the messages at some places of a slab, as they came."""
    if not places:
        return {}
    found = _values.decode(b"[%b]" % joined)
    return {place: bytes(found[place]) for place in places}


def wrap(raw: bytes, queue: str, reason: str) -> bytes:
    """Return a message that holds anything, whole, and says why."""
    message = {
        "body": base64.b64encode(raw).decode("ascii"),
        "content-type": "application/data",
        "content-encoding": "binary",
        "headers": {UNREADABLE: reason},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": queue},
            "delivery_tag": str(uuid4()),
        },
    }
    return json.dumps(message).encode("ascii")


class Channel(bindings.Channel):
    """kombu's channel; what it pops is readable."""

    def _create_client(self, *args: Any, **kwargs: Any) -> Any:
        client = super()._create_client(*args, **kwargs)
        client.parse_response = partial(self._parse, client.parse_response)
        return client

    def _parse(
        self, parse: Callable[..., Any], connection: Any, command: str, **options: Any
    ) -> Any:
        answer = parse(connection, command, **options)
        if command != "BRPOP" or not answer:
            return answer
        key, raw = answer
        queue = key.decode("utf-8").rsplit(self.sep, 1)[0]
        return key, readable(raw, queue)


class Transport(bindings.Transport):
    """kombu's Redis transport over readable messages."""

    Channel = Channel
