"""Read the result of a job as Celery's Redis backend writes it, and wait for it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from celeriac.contract import PROGRESS_STATUS, RESULT_KEPT_SECONDS, RESULT_KEY_PREFIX, State
from celeriac.errors import BrokerUnavailable, JobCancelled, JobFailed
from celeriac.message import now_text
from celeriac.shipped import shipped
from celeriac.steps import Ask, Hear, Pause, Plan, Subscribe
from celeriac.urls import Address
from celeriac.values import decode

_STORE_ONCE: Final = shipped("store_once.lua")
#: Between two looks at the key, should a published message be missed.
RECHECK_SECONDS: Final = 1.0
RECONNECT_SECONDS: Final = 0.05

STATES: Final[Mapping[str, State]] = MappingProxyType(
    {
        "SUCCESS": State.COMMITTED,
        "FAILURE": State.DEAD,
        "REVOKED": State.CANCELLED,
        "RETRY": State.HELD,
        "STARTED": State.RUNNING,
        PROGRESS_STATUS: State.WORKING,
    }
)
ENDED: Final = frozenset({State.COMMITTED, State.DEAD, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class Result:
    """What the result's key says: a state, and what came of it."""

    state: State
    value: Any = None


def result_key(job_id: str) -> str:
    """Name the key, and the channel, of a job's result."""
    return RESULT_KEY_PREFIX + job_id


def read_result(raw: object) -> Result:
    """Read a result's JSON; no key, or a state that Celery may add, is ``unknown``."""
    found = decode(raw) if isinstance(raw, (bytes, str)) else None
    if not isinstance(found, Mapping):
        return Result(State.UNKNOWN)
    return Result(STATES.get(str(found.get("status")), State.UNKNOWN), found.get("result"))


def words_of(value: object) -> str:
    """Put a stored exception into the words that it was raised with."""
    if not isinstance(value, Mapping):
        return str(value)
    words = value.get("exc_message")
    if isinstance(words, list):
        words = ", ".join(map(str, words))
    return str(words or value.get("exc_type") or "no reason given")


def outcome(result: Result, job_id: str) -> dict[str, Any] | None:
    """Return what a committed job left, None of one that has not ended; raise what ended it."""
    if result.state is State.COMMITTED:
        value: dict[str, Any] = result.value
        return value
    if result.state is State.DEAD:
        raise JobFailed(words_of(result.value), job_id)
    if result.state is State.CANCELLED:
        raise JobCancelled(words_of(result.value), job_id)
    return None


def fetch_result(server: Address, job_id: str) -> Plan[Result]:
    """Look at the result's key once."""
    key = result_key(job_id)
    return read_result((yield Ask(server, ("GET", key), f"GET {key}")))


def wait_for_result(
    server: Address, job_id: str, seconds: float, patience_seconds: float
) -> Plan[Result]:
    """Wait until the job ended or the time is over; return what is known then.

    Outlives an outage of Redis shorter than the patience; a longer one raises
    :class:`BrokerUnavailable`. Ends at most one call's timeout late.
    """
    answered = time.monotonic()
    ends = answered + seconds
    is_subscribed = False
    while True:
        try:
            # Subscribed first, then looked: an end that comes between is not missed.
            result = yield from fetch_result(server, job_id)
            answered = time.monotonic()
            if result.state in ENDED or answered >= ends:
                return result
            if is_subscribed:
                yield Hear(min(RECHECK_SECONDS, ends - answered))
            else:
                yield Subscribe(server, result_key(job_id))
                is_subscribed = True
        except BrokerUnavailable:  # noqa: PERF203 - a round trip each time
            is_subscribed = False
            now = time.monotonic()
            if now - answered >= patience_seconds or now >= ends:
                raise
            yield Pause(min(RECONNECT_SECONDS, ends - now))


def store_cancelled(server: Address, job_id: str, words: str) -> Plan[None]:
    """Write Celery's REVOKED for a job that was taken from its queue, unless it has a result."""
    key = result_key(job_id)
    text = json.dumps(
        {
            "status": "REVOKED",
            "result": {
                "exc_type": JobCancelled.__name__,
                "exc_message": [words],
                "exc_module": JobCancelled.__module__,
            },
            "traceback": None,
            "children": [],
            "date_done": now_text(),
            "task_id": job_id,
        }
    )
    command = ("EVAL", _STORE_ONCE, 1, key, text, RESULT_KEPT_SECONDS)
    yield Ask(server, command, f"PUBLISH {key}")
