"""Write Celery's task message, protocol 2, as kombu's Redis transport pushes it.

Field by field what stock Celery writes, so that any Celery worker takes it;
``argsrepr`` and ``kwargsrepr`` say in a few words what Celery spells out, and
one header more says when the job was enqueued.
"""

import binascii
import json
import os
import socket
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Final

from celeriac.contract import ENQUEUED_AT, GROUP

#: What Celery's canvas would hang on a task; we send plain jobs.
_EMBED: Final = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
_DESCRIPTION_CHARACTERS: Final = 120
#: Stand in a form for what differs from job to job; names of a caller's hold no NUL.
_ID, _BODY, _WORDS, _TAG, _AT = (f"\x00{name}" for name in ("id", "body", "words", "tag", "at"))
_HOST: Final = socket.gethostname()

_quote = json.encoder.encode_basestring_ascii


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
    priority: int = 0
    #: Not before, not after; ISO 8601 with an offset.
    eta: str | None = None
    expires: str | None = None
    #: None writes no such header, as stock Celery does.
    enqueued_at: str | None = None


class Form:
    """The messages of jobs that differ by id, body, words and time alone, written fast."""

    def __init__(self, example: Message) -> None:
        text = json.dumps(_envelope(example)).replace("%", "%%")
        for name in (_ID, _BODY, _WORDS, _TAG, _AT):
            # The body and the tag need no quoting; the others bring their own quotes.
            text = text.replace(_quote(name), '"%b"' if name in (_BODY, _TAG) else "%b")
        self._text = text.encode("ascii")
        self._says_when = example.enqueued_at is not None
        self._pid = os.getpid()
        self._example = example

    def write(self, job_id: str, body: str, description: str, enqueued_at: str | None) -> bytes:
        """Write what is pushed to the queue's list."""
        if self._pid != os.getpid():
            # A fork must not go by its parent's name.
            self.__init__(self._example)  # type: ignore[misc]  # made anew, in its place
        text = binascii.b2a_base64(body.encode("ascii"), newline=False)
        id_ = _quote(job_id).encode("ascii")
        words = _quote(description[:_DESCRIPTION_CHARACTERS]).encode("ascii")
        # In the order in which the envelope has them.
        headers: tuple[bytes, ...] = (id_, id_, words)
        if self._says_when:
            headers += (_quote(enqueued_at or "").encode("ascii"),)
        return self._text % (text, *headers, id_, new_tag().encode("ascii"))


def new_id() -> str:
    """Make a job id that sorts by time, down to fractions of a millisecond."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    random = int.from_bytes(os.urandom(8), "big")
    return uuid7(milliseconds, nanoseconds * 4096 // 1_000_000, random)


def uuid7(milliseconds: int, rand_a: int, rand_b: int) -> str:
    """Lay out a UUID of version 7 (RFC 9562, 5.7): 48 bits of time, 12 and 62 bits of ours."""
    bits = (milliseconds & (1 << 48) - 1) << 80
    bits |= 0x7 << 76 | (rand_a & (1 << 12) - 1) << 64
    bits |= 0b10 << 62 | rand_b & (1 << 62) - 1
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_tag() -> str:
    """Make a random UUID, as kombu names each delivery."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def now_text() -> str:
    """Write the present time as headers have it."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second_text(seconds)}.{nanoseconds // 1000:06d}+00:00"


@lru_cache(maxsize=1)
def _second_text(seconds: int) -> str:
    # Kept, since many jobs come in one second, and a calendar takes longer than all their digits.
    return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None).isoformat()


def write_body(arguments: str, group: str | None = None) -> str:
    """Put keyword arguments, already JSON, into a body without positional ones.

    ``group`` is what the message says of the job's group, as JSON.
    """
    if group is None:
        return f"[[], {arguments}, {_EMBED}]"
    return f'[[], {arguments}, {_EMBED[:-1]}, "{GROUP}": {group}}}]'


def write_message(message: Message) -> bytes:
    """Write what is pushed to the queue's list, for one job."""
    form = Form(message)
    return form.write(message.id, message.body, message.description, message.enqueued_at)


def _envelope(message: Message) -> dict[str, Any]:
    """Return a message with stand-ins for what differs from job to job."""
    return {
        "body": _BODY,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": _headers(message),
        "properties": {
            "correlation_id": _ID,
            "reply_to": message.reply_to,
            "delivery_mode": 2,
            **_expiration(message.expires),
            "delivery_info": {"exchange": "", "routing_key": message.queue},
            "priority": message.priority,
            "body_encoding": "base64",
            "delivery_tag": _TAG,
        },
    }


def _expiration(expires: str | None) -> dict[str, str]:
    """Return what AMQP calls the same: milliseconds from now. Workers on Redis ignore it."""
    if expires is None:
        return {}
    left = datetime.fromisoformat(expires) - datetime.now(timezone.utc)
    return {"expiration": str(int(left.total_seconds() * 1000))}


def _headers(message: Message) -> dict[str, Any]:
    headers: dict[str, Any] = {
        "lang": "py",
        "task": message.task,
        "id": _ID,
        "shadow": None,
        "eta": message.eta,
        "expires": message.expires,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": _ID,
        "parent_id": None,
        "argsrepr": "()",
        "kwargsrepr": _WORDS,
        "origin": f"gen{os.getpid()}@{_HOST}",
        "ignore_result": not message.track,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    return headers if message.enqueued_at is None else headers | {ENQUEUED_AT: _AT}
