"""One deployment for the tests of a module: database, broker, results, a stock producer."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg2
from celery import Celery
from celery.result import AsyncResult
from kombu import pools
from kombu.transport import TRANSPORT_ALIASES
from redis import Redis

from tests.faults.redis_state import places
from tests.integration.shop import CATALOG, create_tables, query
from tests.waiting import wait_for
from worker.embedded import EmbeddedValkey

TASK = QUEUE = "celeriac.ingest"
BROKER, RESULTS = 2, 3
GATE = 4711
SECONDS = 60.0
#: Where other tests of this process imported the worker, Redis is reached by its transport.
STOCK = "stock"
TRANSPORT_ALIASES[STOCK] = "kombu.transport.redis:Transport"


@dataclass
class Site:
    """Where a worker under test lives, and how a stock Celery application sees it."""

    database: str
    valkey: EmbeddedValkey
    env: dict[str, str]

    @property
    def broker_url(self) -> str:
        """URL of the broker, in Celery's form."""
        return self.valkey.url(BROKER)

    @property
    def result_url(self) -> str:
        """URL of the result store, in Celery's form."""
        return self.valkey.url(RESULTS)

    @cached_property
    def stock(self) -> Celery:
        """A Celery application that knows nothing of ours, as producers have it."""
        broker = self.broker_url.replace("redis", STOCK, 1)
        return Celery(STOCK, broker=broker, backend=self.result_url, set_as_current=False)

    @cached_property
    def redis(self) -> Redis:
        """The broker as it is."""
        return self.valkey.client(BROKER)

    def query(self, text: str, parameters: object = None) -> list[tuple[Any, ...]]:
        """Run a statement of the test's own, committed."""
        return query(self.database, text, parameters)

    def send(self, id_: str, target: str, rows: Sequence[Any], **options: Any) -> AsyncResult:
        """Send an ingest job as any stock application does."""
        kwargs = {"target": target, "rows": list(rows)}
        return self.send_task(TASK, kwargs=kwargs, task_id=id_, **options)

    def send_task(self, name: str, **options: Any) -> AsyncResult:
        """Send any task to the ingest queue."""
        return self.stock.send_task(name, **{"queue": QUEUE, **options})

    def push(self, message: object, queue: str = QUEUE) -> None:
        """Push a message as it is, without any producer's help; text and bytes stay bytes."""
        raw = message if isinstance(message, str | bytes) else json.dumps(message)
        self.redis.lpush(queue, raw)

    def queued(self) -> int:
        """Count the jobs that no worker has reserved."""
        return int(self.redis.llen(QUEUE))

    def unsettled(self) -> int:
        """Count the jobs that the broker still keeps, waiting or reserved."""
        return sum(places(self.broker_url, QUEUE))

    def wait_until_settled(self, seconds: float = SECONDS) -> None:
        """Wait until the broker keeps no job; fail if it does not come."""
        wait_for(lambda: self.unsettled() == 0, seconds, "the broker to keep no job")

    def states(self, *ids: str) -> dict[str, str]:
        """Read from the ledger how jobs stand; those it does not know are left out."""
        found = self.query("SELECT id, state FROM celeriac.job WHERE id = ANY (%s)", (list(ids),))
        return dict(found)

    def wait_for_state(self, id_: str, state: str, seconds: float = SECONDS) -> None:
        """Wait until the ledger says so of a job."""
        wait_for(lambda: self.states(id_) == {id_: state}, seconds, f"{id_} to be {state}")

    def error(self, id_: str) -> str:
        """Read why a job did not commit."""
        ((error,),) = self.query("SELECT error FROM celeriac.job WHERE id = %s", (id_,))
        return str(error)

    @contextmanager
    def closed_gate(self) -> Iterator[None]:
        """Keep whoever writes to target ``gate`` waiting, and so its child busy."""
        with closing(psycopg2.connect(self.database)) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", (GATE,))
            yield

    def wait_for_the_gate(self) -> None:
        """Wait until a child stands before the closed gate."""
        waiting = (
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s"
        )
        wait_for(lambda: self.query(waiting, (GATE,)), what="a child at the gate")


def make_site(database: str, valkey: EmbeddedValkey, folder: Path) -> Site:
    """Make the shop's tables in a migrated database, and empty broker and results."""
    create_tables(database)
    # Other tests cut the connections of all clients, also those that wait in kombu's pools.
    pools.reset()
    for number in (BROKER, RESULTS):
        with valkey.client(number) as client:
            client.flushdb()
    env = {
        "CELERIAC_BROKER_URL": valkey.url(BROKER),
        "CELERIAC_RESULT_URL": valkey.url(RESULTS),
        "CELERIAC_DATABASE_URL": database,
        "CELERIAC_CATALOG": str(CATALOG),
        "CELERIAC_ARTIFACTS": (folder / "artifacts").as_uri(),
    }
    return Site(database, valkey, env)
