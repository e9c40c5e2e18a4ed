"""A deployment whose workers load files into the depot, and a stock producer of file jobs."""

import signal
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from celery import Celery
from celery.result import AsyncResult

from tests.faults.file_points import FOLDER, FilePoint, arm, is_armed
from tests.faults.redis_state import places
from tests.integration import depot
from tests.integration.depot import arguments
from tests.integration.shop import query
from tests.waiting import wait_for
from worker.embedded import EmbeddedValkey

TASK = "celeriac.ingest_file"
QUEUE = "celeriac.file"
APP = "tests.faults.planted_files"
BROKER, RESULTS = 4, 5
#: Any single step is awaited that long.
SECONDS = 60.0


@dataclass(frozen=True)
class DepotSite:
    """Where the workers live: their database, broker, inbox, and the points at which they die."""

    database: str
    broker_url: str
    result_url: str
    inbox: Path
    points: Path

    @property
    def env(self) -> dict[str, str]:
        """Settings of a worker whose lease is short, and which gives up on no job."""
        return {
            "CELERIAC_BROKER_URL": self.broker_url,
            "CELERIAC_RESULT_URL": self.result_url,
            "CELERIAC_DATABASE_URL": self.database,
            "CELERIAC_CATALOG": str(depot.CATALOG),
            "CELERIAC_ARTIFACTS": (self.inbox.parent / "artifacts").as_uri(),
            "CELERIAC_INBOX": str(self.inbox),
            "CELERIAC_LEASE_SECONDS": "1",
            "CELERIAC_CRASH_LIMIT": "100",
            FOLDER: str(self.points),
        }

    @cached_property
    def stock(self) -> Celery:
        """A Celery application that knows nothing of ours."""
        return Celery(
            "stock", broker=self.broker_url, backend=self.result_url, set_as_current=False
        )

    def query(self, text: str, parameters: object = None) -> list[tuple[Any, ...]]:
        """Run a statement of the test's own, committed."""
        return query(self.database, text, parameters)

    def send(self, id_: str, target: str, path: Path, **options: Any) -> AsyncResult:
        """Send a file job, its chunks small."""
        kwargs = arguments(target, path, **options)
        return self.stock.send_task(TASK, kwargs=kwargs, task_id=id_, queue=QUEUE)

    def stop_at(self, point: FilePoint, number: int) -> None:
        """Let the child that passes a point the n-th time stop there."""
        arm(self.points, point, number, signal.SIGSTOP)

    def kill_at(self, point: FilePoint, number: int) -> None:
        """Let the child that passes a point the n-th time die there."""
        arm(self.points, point, number, signal.SIGKILL)

    def wait_for_stop(self, children: list[int]) -> int:
        """Wait until one of these processes stands still; return its id."""

        def stopped() -> list[int]:
            return [pid for pid in children if psutil.Process(pid).status() == "stopped"]

        wait_for(lambda: not is_armed(self.points), what="a child to reach its point")
        return wait_for(stopped, what="a child to stand still")[0]

    def state(self, id_: str) -> str | None:
        """Read how the ledger has a job."""
        found = self.query("SELECT state FROM celeriac.job WHERE id = %s", (id_,))
        return str(found[0][0]) if found else None

    def wait_for_state(self, id_: str, state: str) -> None:
        """Wait until the ledger has a job so."""
        wait_for(lambda: self.state(id_) == state, what=f"{id_} to be {state}")

    def wait_until_settled(self) -> None:
        """Wait until the broker keeps no job."""
        wait_for(lambda: sum(places(self.broker_url, QUEUE)) == 0, what="nothing to be left")

    def account(self, id_: str) -> tuple[Any, ...]:
        """Return state, rows, inserted, quarantined and error of a job."""
        (found,) = self.query(
            "SELECT state, rows, inserted, quarantined, error FROM celeriac.job WHERE id = %s",
            (id_,),
        )
        return found

    def stored(self, table: str = "parcel") -> Counter[tuple[Any, ...]]:
        """Return the rows of a table and how often each is there."""
        return Counter(self.query(f"SELECT id, weight, note FROM depot.{table}"))


def make_site(database: str, valkey: EmbeddedValkey, folder: Path) -> DepotSite:
    """Make the depot's tables in a migrated database, and empty broker and results."""
    depot.create_tables(database)
    for number in (BROKER, RESULTS):
        with valkey.client(number) as client:
            client.flushdb()
    inbox, points = folder / "inbox", folder / "points"
    inbox.mkdir()
    points.mkdir()
    return DepotSite(database, valkey.url(BROKER), valkey.url(RESULTS), inbox, points)
