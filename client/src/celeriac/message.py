"""Write Celery's task message, protocol 2, as kombu's Redis transport pushes it.

Field by field what stock Celery writes, so that any Celery worker takes it;
only ``argsrepr`` and ``kwargsrepr`` say in a few words what Celery spells out.
"""

import base64
import json
import os
import secrets
import socket
import time
import uuid
from dataclasses import dataclass
from typing import Final

#: What Celery's canvas would hang on a task; we send plain jobs.
_EMBED: Final = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
_DESCRIPTION_CHARACTERS: Final = 120


@dataclass(frozen=True, slots=True)
class Message:
    """One job, ready to be written; ``body`` comes from :func:`write_body`."""

    id: str
    task: str
    queue: str
    body: str
    description: str
    track: bool
    reply_to: str


def new_id() -> str:
    """Make a job id that sorts by time, down to fractions of a millisecond."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    return uuid7(milliseconds, nanoseconds * 4096 // 1_000_000, secrets.randbits(62))


def uuid7(milliseconds: int, rand_a: int, rand_b: int) -> str:
    """Lay out a UUID of version 7 (RFC 9562, 5.7): 48 bits of time, 12 and 62 bits of ours."""
    bits = (milliseconds & (1 << 48) - 1) << 80
    bits |= 0x7 << 76 | (rand_a & (1 << 12) - 1) << 64
    bits |= 0b10 << 62 | rand_b & (1 << 62) - 1
    return str(uuid.UUID(int=bits))


def write_body(arguments: str) -> str:
    """Put keyword arguments, already JSON, into a body without positional ones."""
    return f"[[], {arguments}, {_EMBED}]"


def write_message(message: Message) -> bytes:
    """Write what is pushed to the queue's list."""
    envelope = {
        "body": base64.b64encode(message.body.encode("ascii")).decode("ascii"),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": _headers(message),
        "properties": {
            "correlation_id": message.id,
            "reply_to": message.reply_to,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": message.queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return json.dumps(envelope).encode("ascii")


def _headers(message: Message) -> dict[str, object]:
    return {
        "lang": "py",
        "task": message.task,
        "id": message.id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": message.id,
        "parent_id": None,
        "argsrepr": "()",
        "kwargsrepr": message.description[:_DESCRIPTION_CHARACTERS],
        # The process is asked each time: a fork must not go by its parent's name.
        "origin": f"gen{os.getpid()}@{socket.gethostname()}",
        "ignore_result": not message.track,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
