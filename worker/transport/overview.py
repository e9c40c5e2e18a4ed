"""Look at what waits in the queues and at what workers have reserved, from outside any of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from redis import Redis

from celeriac.contract import PRIORITY_SEPARATOR, PRIORITY_STEPS
from worker.transport.keys import Keys, lease_seconds_of

#: How kombu names the set in which it notes which queues an exchange has.
_BINDINGS = "_kombu.binding."
_BINDING_SEPARATOR = "\x06\x16"
#: Exchanges by which workers are spoken to, not jobs sent.
_NOT_FOR_JOBS = ("celery.pidbox", "celeryev", "reply.celery.pidbox")


@dataclass(frozen=True, slots=True)
class Owner:
    """One worker as its lease shows it; ``silent_seconds`` since it last renewed it."""

    name: str
    silent_seconds: float
    lease_seconds: float
    reserved: int

    @property
    def is_expired(self) -> bool:
        """Whether others may have its jobs by now."""
        return self.silent_seconds > self.lease_seconds


def count_reserved(client: Redis, prefix: str = "") -> int:
    """Return how many messages all workers of a deployment hold, also dead ones.

    A message that was settled counts until its slab is rewritten or done.
    """
    return sum(owner.reserved for owner in owners(client, prefix))


def owners(client: Redis, prefix: str = "", lease_seconds: float = 15.0) -> list[Owner]:
    """Return the workers that hold a lease, or held one and were not seen to end.

    ``lease_seconds`` is for those of an earlier version, whose names do not tell.
    """
    found: Any = client.zrange(Keys(prefix, "").owners, 0, -1, withscores=True)
    seconds, micros = client.time()
    now_ms = seconds * 1000 + micros / 1000
    return [
        Owner(
            name := _text(raw),
            max(0.0, now_ms - renewed_ms) / 1000,
            lease_seconds_of(name) or lease_seconds,
            _reserved(client, Keys(prefix, name)),
        )
        for raw, renewed_ms in found
    ]


def queue_lengths(client: Redis, known: Iterable[str], prefix: str = "") -> dict[str, int]:
    """Return how many jobs wait, by queue: in the known ones, and in all that anybody declared."""
    names = sorted(set(known) | _declared(client, prefix))
    pipe = client.pipeline(transaction=False)
    for name in names:
        for one in _lists(name):
            pipe.llen(prefix + one)
    counts = pipe.execute()
    steps = len(PRIORITY_STEPS)
    return {name: sum(counts[at * steps : (at + 1) * steps]) for at, name in enumerate(names)}


def oldest_messages(client: Redis, queue: str, prefix: str = "") -> list[bytes]:
    """Return the message that came first of each priority in which any waits."""
    pipe = client.pipeline(transaction=False)
    for name in _lists(queue):
        pipe.lindex(prefix + name, -1)
    return [raw for raw in pipe.execute() if raw is not None]


def _lists(queue: str) -> list[str]:
    """Name the lists of a queue, one a priority, as kombu does."""
    return [f"{queue}{PRIORITY_SEPARATOR}{step}" if step else queue for step in PRIORITY_STEPS]


def _declared(client: Redis, prefix: str) -> set[str]:
    """Name the queues that producers and consumers declared, those of jobs."""
    found: set[str] = set()
    for key in client.scan_iter(match=f"{prefix}{_BINDINGS}*", count=1000):
        exchange = _text(key).removeprefix(prefix + _BINDINGS)
        if exchange not in _NOT_FOR_JOBS and client.type(key) == b"set":
            members: Any = client.smembers(key)
            found |= {_text(one).rpartition(_BINDING_SEPARATOR)[2] for one in members}
    return found - {""}


def _reserved(client: Redis, keys: Keys) -> int:
    numbers: Any = client.hkeys(keys.slabs)
    pipe = client.pipeline(transaction=False)
    for number in numbers:
        pipe.llen(f"{keys.slab_prefix}{_text(number)}")
    return sum(pipe.execute())


def _text(raw: bytes) -> str:
    """Read a name that anybody may have written."""
    return raw.decode("utf-8", "replace")
