"""Workers under load that are broken on purpose, mended, drained and judged."""

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg2

from tests.faults.crash_points import FOLDER, ORPHANS_LIVE, CrashPoints, Point, Victim
from tests.faults.honest_worker import TARGETS_SQL
from tests.faults.load import Load
from tests.faults.oracle import AtomicityWatch, Verdict, check
from tests.faults.redis_state import redis_client
from tests.waiting import wait_for
from tests.workers import Worker

CATALOG = Path(__file__).with_name("catalog")
#: Each fault is awaited that long, and so is the progress after it.
PATIENCE_SECONDS = 60.0
DRAIN_SECONDS = 90.0

#: A dead worker's jobs are to come back while the test looks on; all limits are below that.
QUICK_RECOVERY = {
    "CELERIAC_LOCK_SECONDS": "1",
    "CELERIAC_STATEMENT_SECONDS": "2",
    "CELERIAC_BATCH_SECONDS": "3",
    "CELERIAC_REPORT_SECONDS": "3",
    "CELERIAC_VISIBILITY_SECONDS": "4",
}

_KILLED_CHILD = re.compile(r"pid:(\d+) exited with 'signal 9 \(SIGKILL\)'")
_ENDED = "SELECT count(*) FROM celeriac.job WHERE state IN ('committed', 'dead')"
_CONNECTED = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'celeriac %'
"""


class Storm:
    """Two workers with two children each, jobs for three targets, and faults.

    Use as a context manager: whatever still runs at its end is killed.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], *, concurrency: int = 2) -> None:
        self.points = CrashPoints(folder / "points")
        self.env = {
            **env,
            FOLDER: str(folder / "points"),
            "CELERIAC_CATALOG": str(CATALOG),
            # Kills hit jobs that run alone, too; none of them is to blame.
            "CELERIAC_CRASH_LIMIT": "100",
        }
        self.app = "tests.faults.planted"
        #: Whether every second worker's children outlive it; Linux would end them with it.
        self.orphans_live = False
        self.database_url = env["CELERIAC_DATABASE_URL"]
        self.database_name = urlsplit(self.database_url).path.strip("/")
        self.load = Load(folder, env["CELERIAC_BROKER_URL"], env["CELERIAC_RESULT_URL"])
        self.watch = AtomicityWatch(self.database_url)
        self._concurrency = concurrency
        #: All workers ever started, dead ones too: their logs are evidence.
        self.workers: list[Worker] = []

    def __enter__(self) -> "Storm":
        self.execute(TARGETS_SQL.read_text())
        self.watch.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.load.stop()
        self.watch.__exit__()
        for process in self.processes():
            process.kill()

    def start(self, *, seed: int, workers: int = 2, rate: float = 80) -> None:
        """Start workers and load, and wait until both are at it."""
        for _ in range(workers):
            self.add_worker()
        for worker in self.workers:
            worker.wait_ready()
        self.load.start(seed=seed, rate=rate)
        self.advance(20)

    def add_worker(self) -> None:
        """Start a worker without waiting for it."""
        env = self.env
        if self.orphans_live and len(self.workers) % 2:
            env = {**env, ORPHANS_LIVE: "1"}
        worker = Worker(env, concurrency=self._concurrency, app=self.app)
        self.workers.append(worker.start(wait=False))

    def replace_dead(self, workers: int = 2) -> None:
        """Start a worker for each that died; wait until one consumes again."""
        for _ in range(workers - sum(worker.is_running for worker in self.workers)):
            self.add_worker()
        wait_for(self.living, PATIENCE_SECONDS, "a worker to be ready")

    def living(self) -> list[Worker]:
        """Return the workers that consume."""
        return [worker for worker in self.workers if worker.is_running and worker.is_ready]

    def processes(self) -> list[psutil.Process]:
        """Return every process of these workers that is alive, orphans included."""
        return list(_with_environment(FOLDER, self.env[FOLDER]))

    def orphans(self) -> list[psutil.Process]:
        """Return the children whose worker is dead."""
        mains = {worker.pid for worker in self.workers}
        return [one for one in self.processes() if one.pid not in mains and one.ppid() not in mains]

    def ended(self) -> int:
        """Count the jobs that are over."""
        return int(self.execute(_ENDED)[0][0])

    def advance(self, jobs: int = 5) -> None:
        """Wait until more jobs have come to their end."""
        goal = self.ended() + jobs
        wait_for(lambda: self.ended() >= goal, PATIENCE_SECONDS, f"{jobs} more jobs")

    def kill_at(self, point: Point, victim: Victim = Victim.SELF) -> None:
        """Let the next process die that reaches a point, and wait for progress after that."""
        goal = len(self.points.kills()) + 1
        self.points.arm(point, victim)
        wait_for(lambda: len(self.points.kills()) >= goal, PATIENCE_SECONDS, f"kill at {point}")
        self.advance()

    def finish(self, *, excuse_unseen: bool = False) -> Verdict:
        """Stop the load, let all that is left be done, stop the workers, and judge."""
        self.load.stop()
        self.points.disarm()
        self.drain()
        verdict = self.judge(excuse_unseen=excuse_unseen)
        self.stop_workers()
        self.watch.assert_clean()
        return verdict

    def stop_workers(self) -> None:
        """Ask all workers at once to stop; nothing of theirs may stay behind."""
        for orphan in self.orphans() if self.orphans_live else ():
            orphan.kill()
        living = self.living()
        for worker in living:
            os.kill(worker.pid, signal.SIGTERM)
        for worker in living:
            wait_for(lambda: worker.returncode is not None, PATIENCE_SECONDS, "a worker to end")  # noqa: B023
        assert [0] * len(living) == [worker.returncode for worker in living]
        wait_for(lambda: not self.processes(), 10, "the last child to end")
        wait_for(lambda: not self.execute(_CONNECTED)[0][0], 10, "all connections to be closed")

    def drain(self) -> None:
        """Wait until every job is settled."""
        wait_for(self.is_drained, DRAIN_SECONDS, "all jobs to be settled")

    def judge(self, *, excuse_unseen: bool = False) -> Verdict:
        """Compare what was sent with what is there.

        The stock transport takes a message out of its queue before it writes down
        who has it: one that is under way to a main process when that dies is gone.
        ``excuse_unseen`` forgives that loss, of jobs that no worker ever had.
        """
        urls = (self.env[f"CELERIAC_{name}_URL"] for name in ("RESULT", "BROKER"))
        verdict = check(self.load.history, self.database_url, *urls)
        if excuse_unseen:
            seen = self.points.received()
            verdict.lost = [(job, row) for job, row in verdict.lost if job in seen]
        return verdict

    def is_drained(self) -> bool:
        """Whether the broker holds nothing any more, neither waiting nor reserved."""
        with redis_client(self.env["CELERIAC_BROKER_URL"]) as broker:
            return not broker.llen("celeriac.ingest") and not broker.hlen("unacked")

    def lost_children(self) -> int:
        """Count the batches whose child died, by the word of the workers."""
        return sum(worker.log.count("a child process was lost") for worker in self.workers)

    def killed_children(self) -> set[int]:
        """Return the children that the workers saw end by SIGKILL."""
        found = (_KILLED_CHILD.finditer(worker.log) for worker in self.workers)
        return {int(match[1]) for matches in found for match in matches}

    def execute(self, query: str) -> list[Any]:
        """Run statements in a transaction of their own; return what they answer."""
        with closing(psycopg2.connect(self.database_url)) as connection:
            with connection, connection.cursor() as cursor:
                cursor.execute(query)
                return cursor.fetchall() if cursor.description else []


def _with_environment(name: str, value: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(name) == value:
                yield process
