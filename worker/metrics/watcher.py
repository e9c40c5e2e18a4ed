"""Look at both servers again and again, and tell Prometheus what was seen last.

From a thread: Flower answers its pages in one loop, and a server that is away
must not make it wait.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from typing import Generic, TypeVar

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from postgres.transaction import Lender
from worker import events
from worker.commands.connect import long_lived_pool
from worker.kinds import queues_of
from worker.metrics.families import of_broker, of_outbox, of_servers, of_set_aside
from worker.metrics.figures import Ages, look_at_broker, look_at_due, look_at_set_aside
from worker.outside import settings_of_this_process
from worker.relay.broker import Broker

Seen = TypeVar("Seen")

#: Prometheus asks every 15 to 60 seconds.
_LOOK_SECONDS = 10.0
#: Rows in quarantine may be millions.
_COUNT_SECONDS = 60.0
#: Older figures than so many looks are none: the thread waits for a server that does not answer.
_LOOKS_KEPT = 3


@dataclass(slots=True)
class _Look(Generic[Seen]):
    """One thing that is looked at now and then, and what was seen last."""

    what: str
    take: Callable[[], Seen]
    every_seconds: float
    clock: Callable[[], float]
    _seen: Seen | None = None
    _seen_at: float = -math.inf
    _is_told: bool = False

    @property
    def seen(self) -> Seen | None:
        """What was seen lately; None if the last look failed, or is too long ago."""
        is_old = self.clock() - self._seen_at > self.every_seconds * _LOOKS_KEPT
        return None if is_old else self._seen

    def again(self) -> None:
        """Look, if it is time to; whatever goes wrong is told once, and is no reason to end."""
        if self._seen is not None and self.clock() - self._seen_at < self.every_seconds:
            return
        try:
            self._seen = self.take()
        except Exception as error:  # noqa: BLE001 - the thread's edge: it has to outlive all
            self._seen = None
            if not self._is_told:
                events.figures_missing(what=self.what, reason=str(error))
        self._is_told = self._seen is None
        self._seen_at = self.clock()


class Watcher(Collector):
    """What was seen last of one deployment; a server that did not answer has no figures."""

    def __init__(  # noqa: PLR0913 - what a deployment consists of
        self,
        broker: Broker,
        pool: Lender,
        queues: frozenset[str],
        *,
        key_prefix: str = "",
        lease_seconds: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        ages = Ages()
        self._redis = _Look(
            "redis",
            lambda: look_at_broker(broker.redis(), queues, key_prefix, lease_seconds, ages),
            _LOOK_SECONDS,
            clock,
        )
        self._outbox = _Look("outbox", partial(look_at_due, pool), _LOOK_SECONDS, clock)
        self._set_aside = _Look(
            "set aside", partial(look_at_set_aside, pool), _COUNT_SECONDS, clock
        )

    def look(self) -> None:
        """Look at whatever it is time for."""
        self._redis.again()
        self._outbox.again()
        self._set_aside.again()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what was seen last, at once."""
        redis, due, set_aside = self._redis.seen, self._outbox.seen, self._set_aside.seen
        yield from of_servers([("redis", redis is not None), ("postgresql", due is not None)])
        if redis is not None:
            yield from of_broker(redis)
        if due is not None:
            yield from of_outbox(due)
        if set_aside is not None:
            yield from of_set_aside(set_aside)

    def watch(self) -> None:
        """Look again and again; never returns."""
        pause = Event()
        while True:
            self.look()
            pause.wait(_LOOK_SECONDS)


def watch_deployment() -> None:
    """Add the figures of this process's deployment to Prometheus's registry, kept up to date."""
    settings = settings_of_this_process()
    watcher = Watcher(
        Broker(settings.broker_url.get_secret_value(), settings.key_prefix),
        long_lived_pool("celeriac metrics"),
        frozenset(queues_of(settings.kinds).values()),
        key_prefix=settings.key_prefix,
        lease_seconds=settings.lease_seconds,
    )
    REGISTRY.register(watcher)
    Thread(target=watcher.watch, name="celeriac metrics", daemon=True).start()
