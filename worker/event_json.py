"""Write events as JSON faster than kombu does: half of what a job costs that Flower is shown."""

from typing import Any

import msgspec
from kombu.serialization import registry
from kombu.utils.json import dumps, loads

#: Name for ``event_serializer``; on the wire it is JSON like any other.
NAME = "celeriac-event-json"


def register() -> None:
    """Let Celery know it."""
    registry.register(NAME, _encode, loads, content_type="application/json")


def _encode(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode("utf-8")
    except (TypeError, ValueError):
        # What only kombu can write, such as half a surrogate pair.
        text: str = dumps(value)
        return text
