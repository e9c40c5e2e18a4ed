"""Read the result of a job as Celery's Redis backend writes it, and wait for it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from celeriac.contract import RESULT_KEY_PREFIX, State
from celeriac.errors import BrokerUnavailable
from celeriac.server import Server
from celeriac.values import decode

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


def fetch_result(server: Server, job_id: str) -> Result:
    """Look at the result's key once."""
    key = result_key(job_id)
    return read_result(server.ask(f"GET {key}", lambda redis: redis.get(key)))


def wait_for_result(server: Server, job_id: str, seconds: float) -> Result:
    """Wait until the job ended or the time is over; return what is known then.

    Outlives an outage of Redis shorter than the server's timeout; a longer one
    raises :class:`BrokerUnavailable`. Ends at most one call's timeout late.
    """
    ends = time.monotonic() + seconds
    answered = time.monotonic()
    while True:
        try:
            result = fetch_result(server, job_id)
            if result.state in ENDED or time.monotonic() >= ends:
                return result
            answered = time.monotonic()
            return _listen(server, job_id, ends)
        except BrokerUnavailable:  # noqa: PERF203 - a round trip each time
            now = time.monotonic()
            if now - answered >= server.timeout_seconds or now >= ends:
                raise
            time.sleep(min(RECONNECT_SECONDS, ends - now))


def _listen(server: Server, job_id: str, ends: float) -> Result:
    with server.listen(result_key(job_id)) as wait:
        while True:
            result = fetch_result(server, job_id)
            left = ends - time.monotonic()
            if result.state in ENDED or left <= 0:
                return result
            wait(min(RECHECK_SECONDS, left))
