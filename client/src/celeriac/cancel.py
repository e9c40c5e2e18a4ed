"""Cancel a job, and say honestly what came of that."""

import base64
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from celeriac.contract import CANCELLED_KEPT_SECONDS, CANCELLED_KEY
from celeriac.shipped import shipped
from celeriac.steps import Argument, Ask, Plan
from celeriac.urls import Address

_CANCEL: Final = shipped("cancel.lua")
#: How far a queue is looked into, from both ends: bounds Redis' work.
SEARCHED_MESSAGES: Final = 10_000
OPENED_MESSAGES: Final = 1_000
OPENED_BYTES: Final = 4 * 1024 * 1024
_PIDBOX: Final = "celery.pidbox"
_SUSPECTS: Final = "celeriac:suspects"


class Cancellation(str, Enum):
    """What a cancelling came to."""

    #: It was waiting and was taken out of its queue: it never runs.
    CANCELLED = "cancelled"
    #: It was not found waiting; workers were told. It does not start any more; one that runs
    #: may commit all the same. Its ticket tells how it ends.
    ASKED = "asked"
    #: It had committed before: nothing was undone.
    COMMITTED = "committed"
    #: It had been buried before, without an effect.
    DEAD = "dead"
    #: It was not found, and no worker listened. The wish is noted for workers that come.
    UNKNOWN = "unknown"

    # Spelled out because producers may run on Python 3.10, which has no StrEnum.
    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether the message was taken out of its queue, and whether somebody waits for a result."""

    is_taken: bool
    wants_result: bool


def take_out(
    server: Address, prefix: str, job_id: str, lists: Sequence[str], raw: bytes | None
) -> Plan[Taken]:
    """Note the wish and take the message out of its queue, in one call of Redis."""
    keys = (prefix + CANCELLED_KEY, prefix + _SUSPECTS, *lists)
    most = OPENED_MESSAGES if raw is None else SEARCHED_MESSAGES
    quoted = json.dumps(job_id)
    command: tuple[Argument, ...] = ("EVAL", _CANCEL, len(keys), *keys, job_id)
    command += (CANCELLED_KEPT_SECONDS * 1000, most, OPENED_BYTES, raw or b"")
    command += (f'"id": {quoted}', f'"id":{quoted}')
    is_taken, wants_result = yield Ask(server, command, f"ZADD {keys[0]}")
    return Taken(bool(is_taken), bool(wants_result))


def tell_workers(server: Address, prefix: str, job_id: str, *, stop_running: bool) -> Plan[int]:
    """Send Celery's own ``revoke``; return how many workers heard it."""
    channel = f"{prefix}/{server.db}.{_PIDBOX}"
    text = _revoke(job_id, stop_running=stop_running)
    heard: int = yield Ask(server, ("PUBLISH", channel, text), f"PUBLISH {channel}")
    return heard


def _revoke(job_id: str, *, stop_running: bool) -> str:
    arguments = {"task_id": job_id, "terminate": stop_running, "signal": "SIGTERM"}
    order = {
        "method": "revoke",
        "arguments": arguments,
        "destination": None,
        "pattern": None,
        "matcher": None,
    }
    envelope = {
        "body": base64.b64encode(json.dumps(order).encode("ascii")).decode("ascii"),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        # Workers advance their logical clock to it and forget what has expired.
        "headers": {"clock": 1, "expires": time.time() + CANCELLED_KEPT_SECONDS},
        "properties": {
            "delivery_mode": 2,
            "delivery_info": {"exchange": _PIDBOX, "routing_key": ""},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return json.dumps(envelope)
