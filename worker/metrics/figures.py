"""Look once at what Redis and PostgreSQL hold."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from redis import Redis

from celeriac.contract import ENQUEUED_AT
from postgres.server import OutboxFacts, look_at_outbox
from postgres.set_aside import SetAside, count_set_aside
from postgres.transaction import Lender, transaction
from worker.transport.overview import oldest_messages, owners, queue_lengths


@dataclass(frozen=True, slots=True)
class BrokerFigures:
    """What Redis holds; jobs and seconds by queue."""

    waiting: Mapping[str, int]
    oldest_seconds: Mapping[str, float]
    reserved: int
    #: Leases that ran out with jobs under them that nobody has given back yet.
    expired: int


@dataclass(slots=True)
class Ages:
    """How long the first message of a queue waits: as it says itself, or since it was first seen.

    Stock producers do not say when they sent a message.
    """

    clock: Callable[[], float] = time.time
    _seen: dict[str, dict[bytes, float]] = field(default_factory=dict)

    def oldest_seconds(self, queue: str, messages: Iterable[bytes]) -> float:
        """Return the age of the oldest of these messages, 0 without any."""
        before, now = self._seen.get(queue, {}), self.clock()
        seen = {}
        for raw in messages:
            digest = hashlib.sha256(raw).digest()
            sent = _sent_at(raw)
            # A time to come is that of another clock, and no help.
            known = now if sent is None or sent > now else sent
            seen[digest] = min(before.get(digest, known), known)
        self._seen[queue] = seen
        return now - min(seen.values(), default=now)


def look_at_broker(
    redis: Redis, queues: Iterable[str], prefix: str, lease_seconds: float, ages: Ages
) -> BrokerFigures:
    """Return what waits and what is reserved. Raises what redis-py raises."""
    waiting = queue_lengths(redis, queues, prefix)
    leases = owners(redis, prefix, lease_seconds)
    oldest = {
        name: ages.oldest_seconds(name, oldest_messages(redis, name, prefix)) for name in waiting
    }
    return BrokerFigures(
        waiting,
        oldest,
        reserved=sum(one.reserved for one in leases),
        expired=sum(one.is_expired and one.reserved > 0 for one in leases),
    )


def look_at_due(pool: Lender) -> OutboxFacts:
    """Return what is due in the outbox. Raises :class:`PostgresError`."""
    with transaction(pool) as cursor:
        return look_at_outbox(cursor)


def look_at_set_aside(pool: Lender) -> list[SetAside]:
    """Return what was set aside. Raises :class:`PostgresError`."""
    with transaction(pool) as cursor:
        return count_set_aside(cursor)


def _sent_at(raw: bytes) -> float | None:
    try:
        headers: Any = json.loads(raw)["headers"]
        sent = datetime.fromisoformat(headers[ENQUEUED_AT])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return sent.timestamp() if sent.utcoffset() is not None else None
