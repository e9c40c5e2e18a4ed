"""Relays to test: in the test's own process, turn by turn, or as processes that can be killed."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count

from celeriac.contract import QUEUES
from config import parse
from postgres.pool import Pool, PoolLimits
from postgres.session import Session
from tests.faults.redis_state import redis_client
from tests.integration.shop import query
from tests.workers import Worker
from worker.relay.broker import Broker
from worker.relay.relay import Relay

QUEUE = "celeriac.ingest"
_numbers = count(1)

ENQUEUE = """
    SELECT count(*) FROM celeriac.enqueue_many(
        'celeriac.ingest',
        array(
            SELECT jsonb_build_object('target', 'alpha', 'rows', jsonb_build_array(
                jsonb_build_object('n', number)
            )) FROM generate_series(1, %s) AS number
        )
    )
"""


@contextmanager
def relay_on(env: Mapping[str, str], *, lock_seconds: float = 2.0) -> Iterator[Relay]:
    """Make a relay of these settings; nothing happens before its ``turn``."""
    settings = parse(dict(env))
    url = settings.database_url.get_secret_value()
    name = f"relay-{next(_numbers)}"
    session = Session(application_name=name, lock_seconds=lock_seconds)
    pool = Pool(url, PoolLimits(1), session)
    broker = Broker(settings.broker_url.get_secret_value(), settings.key_prefix)
    try:
        yield Relay(name, pool, broker, QUEUES)
    finally:
        broker.close()
        pool.close()


class RelayProcess(Worker):
    """``python -m worker relay``, or a test's module that runs it."""

    def __init__(self, env: Mapping[str, str], *, module: str = "worker") -> None:
        super().__init__(env, name=f"relay-process-{next(_numbers)}")
        self._command = [sys.executable, "-m", module, "relay"]

    @property
    def is_ready(self) -> bool:
        """Whether it says that it relays."""
        return "relay ready" in self.log


def enqueue(env: Mapping[str, str], jobs: int) -> None:
    """Put so many jobs of one row each into the outbox, in one transaction."""
    assert [(jobs,)] == query(env["CELERIAC_DATABASE_URL"], ENQUEUE, (jobs,))


def queued(env: Mapping[str, str], queue: str = QUEUE) -> int:
    """Count the messages in a queue."""
    with redis_client(env["CELERIAC_BROKER_URL"]) as client:
        return int(client.llen(queue))


def outbox(env: Mapping[str, str]) -> tuple[int, int]:
    """Count the jobs of the outbox that are still to be pushed, and those that were pushed."""
    text = "SELECT count(*) FILTER (WHERE epoch IS NULL), count(epoch) FROM celeriac.outbox"
    ((due, pushed),) = query(env["CELERIAC_DATABASE_URL"], text)
    return int(due), int(pushed)


def turns(relay: Relay, most: int = 200) -> None:
    """Let a relay turn until it finds nothing more to do."""
    for _ in range(most):
        if relay.turn() and outbox_is_pushed(relay):
            return
    raise AssertionError(f"after {most} turns there is still something to push")


def outbox_is_pushed(relay: Relay) -> bool:
    """Whether no due job is left."""
    text = "SELECT count(*) FROM celeriac.outbox WHERE epoch IS NULL AND run_at <= now()"
    with relay.pool.connection() as connection, connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone() == (0,)
