"""Look at both servers again and again, and tell Prometheus what was seen last.

From a thread: Flower answers its pages in one loop, and a server that is away
must not make it wait.
"""

from collections.abc import Iterator
from contextlib import suppress
from threading import Event, Thread

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from postgres.errors import PostgresError
from postgres.pool import Pool, PoolLimits
from postgres.session import Session
from postgres.transaction import Lender
from worker.kinds import queues_of
from worker.metrics.families import of_broker, of_database, of_servers
from worker.metrics.figures import (
    Ages,
    BrokerFigures,
    DatabaseFigures,
    look_at_broker,
    look_at_database,
)
from worker.outside import settings_of_this_process
from worker.relay.broker import BROKER_ERRORS, Broker

#: Prometheus asks every 15 to 60 seconds.
_LOOK_SECONDS = 10.0


class Watcher(Collector):
    """What was seen last of one deployment; a server that did not answer has no figures."""

    def __init__(
        self,
        broker: Broker,
        pool: Lender,
        queues: frozenset[str],
        *,
        key_prefix: str = "",
        lease_seconds: float = 15.0,
    ) -> None:
        self._broker = broker
        self._pool = pool
        self._queues = queues
        self._key_prefix = key_prefix
        self._lease_seconds = lease_seconds
        self._ages = Ages()
        self._seen_in_redis: BrokerFigures | None = None
        self._seen_in_postgres: DatabaseFigures | None = None

    def look(self) -> None:
        """Look at both servers once."""
        self._seen_in_redis = self._look_at_broker()
        self._seen_in_postgres = self._look_at_database()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what was seen last, at once."""
        redis, postgres = self._seen_in_redis, self._seen_in_postgres
        yield from of_servers([("redis", redis is not None), ("postgresql", postgres is not None)])
        if redis is not None:
            yield from of_broker(redis)
        if postgres is not None:
            yield from of_database(postgres)

    def watch(self) -> None:
        """Look again and again; never returns."""
        pause = Event()
        while True:
            self.look()
            pause.wait(_LOOK_SECONDS)

    def _look_at_broker(self) -> BrokerFigures | None:
        with suppress(*BROKER_ERRORS):
            return look_at_broker(
                self._broker.redis(),
                self._queues,
                self._key_prefix,
                self._lease_seconds,
                self._ages,
            )
        return None

    def _look_at_database(self) -> DatabaseFigures | None:
        with suppress(PostgresError):
            return look_at_database(self._pool)
        return None


def watch_deployment() -> None:
    """Add the figures of this process's deployment to Prometheus's registry, kept up to date."""
    settings = settings_of_this_process()
    session = Session("celeriac metrics", connect_seconds=settings.connect_seconds)
    watcher = Watcher(
        Broker(settings.broker_url.get_secret_value(), settings.key_prefix),
        Pool(settings.database_url.get_secret_value(), PoolLimits(size=1), session),
        frozenset(queues_of(settings.kinds).values()),
        key_prefix=settings.key_prefix,
        lease_seconds=settings.lease_seconds,
    )
    REGISTRY.register(watcher)
    Thread(target=watcher.watch, name="celeriac metrics", daemon=True).start()
