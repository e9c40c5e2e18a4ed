"""Workers under load that are broken on purpose, mended, drained and judged."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions

from tests.faults.crash_points import FOLDER, CrashPoints, Point, Victim
from tests.faults.crew import Crew
from tests.faults.honest_worker import TARGETS_SQL
from tests.faults.load import Load
from tests.faults.oracle import AtomicityWatch, Verdict, check
from tests.faults.redis_state import places
from tests.waiting import wait_for

CATALOG = Path(__file__).with_name("catalog")
DRAIN_SECONDS = 90.0

#: A dead worker's jobs come back while the test looks on, and no wait lasts much longer.
QUICK_RECOVERY = {
    "CELERIAC_LOCK_SECONDS": "1",
    "CELERIAC_STATEMENT_SECONDS": "2",
    "CELERIAC_BATCH_SECONDS": "3",
    "CELERIAC_REPORT_SECONDS": "3",
    "CELERIAC_LEASE_SECONDS": "2",
}

_GIVEN_BACK = re.compile(r"event='jobs of a dead worker given back' owner='([^']+)'")
_ENDED = "SELECT count(*) FROM celeriac.job WHERE state IN ('committed', 'dead')"
_CONNECTED = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'celeriac %'
"""


class Storm:
    """Workers, jobs for three targets, and faults.

    Use as a context manager: whatever still runs at its end is killed.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.points = CrashPoints(folder / "points")
        self.crew = Crew(
            {
                **env,
                FOLDER: str(folder / "points"),
                "CELERIAC_CATALOG": str(CATALOG),
                # Kills hit jobs that run alone, too; none of them is to blame.
                "CELERIAC_CRASH_LIMIT": "100",
            }
        )
        self.database_url = env["CELERIAC_DATABASE_URL"]
        self.database_name = urlsplit(self.database_url).path.strip("/")
        self.broker_url, self.result_url = env["CELERIAC_BROKER_URL"], env["CELERIAC_RESULT_URL"]
        self.load = Load(folder, self.broker_url, self.result_url)
        #: What else was sent is judged as well: histories of other senders.
        self.histories: list[Path] = []
        self.watch = AtomicityWatch(self.database_url)
        #: Kept open: a storm asks how far it is many times a second.
        self._connection: psycopg2.extensions.connection | None = None

    def __enter__(self) -> "Storm":
        self.execute(TARGETS_SQL.read_text())
        self.watch.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.load.stop()
        self.watch.__exit__()
        self.crew.kill()
        if self._connection is not None:
            self._connection.close()

    def start(self, *, seed: int, workers: int = 2, rate: float = 80) -> None:
        """Start workers and load, and wait until they are at it."""
        self.crew.start(workers)
        self.load.start(seed=seed, rate=rate)
        self.advance(20)

    def ended(self) -> int:
        """Count the jobs that are over."""
        return int(self.execute(_ENDED)[0][0])

    def advance(self, jobs: int = 5) -> None:
        """Wait until more jobs have come to their end."""
        goal = self.ended() + jobs
        wait_for(lambda: self.ended() >= goal, what=f"{jobs} more jobs")

    def kill_at(self, point: Point, victim: Victim = Victim.SELF) -> None:
        """Let the next process die that reaches a point, and wait for progress after that."""
        goal = len(self.points.kills()) + 1
        self.points.arm(point, victim)
        wait_for(lambda: len(self.points.kills()) >= goal, what=f"kill at {point}")
        self.advance()

    def finish(self) -> Verdict:
        """Stop the load, let all that is left be done, judge, and stop the workers."""
        self.load.stop()
        self.points.disarm()
        self.drain()
        verdict = self.judge()
        self.crew.stop()
        wait_for(lambda: not self.execute(_CONNECTED)[0][0], what="all connections to be closed")
        self.watch.assert_clean()
        return verdict

    def drain(self) -> None:
        """Wait until the broker holds nothing any more, neither waiting nor reserved."""
        try:
            wait_for(lambda: not any(self._left()), DRAIN_SECONDS, "all jobs to be settled")
        except AssertionError as error:
            waiting, reserved = self._left()
            error.add_note(f"{waiting} jobs wait, {reserved} are reserved, {self.ended()} ended")
            for worker in self.crew.living():
                error.add_note(f"{worker.name}: {worker.children()}\n{worker.log[-1500:]}")
            raise

    def judge(self) -> Verdict:
        """Compare what was sent with what is there."""
        histories = [one for one in (self.load.history, *self.histories) if one.exists()]
        return check(histories, self.database_url, self.result_url, self.broker_url)

    def _left(self) -> tuple[int, int]:
        return places(self.broker_url)

    def recovered(self) -> list[str]:
        """Return the owners whose jobs others gave back, by the word of those."""
        return [owner for one in self.crew.workers for owner in _GIVEN_BACK.findall(one.log)]

    def execute(self, query: str) -> list[Any]:
        """Run statements in a transaction of their own; return what they answer."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg2.connect(self.database_url)
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []
