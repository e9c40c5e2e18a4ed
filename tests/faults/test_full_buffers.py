"""Workers that are stopped while they have far more jobs than they can run at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from tests.faults.redis_state import places
from tests.faults.slow_jobs import SlowJobs
from tests.faults.storm import Storm
from tests.waiting import wait_for

JOBS = 400
#: So many of them are in the workers' hands when these are stopped, at the least.
RESERVED = 150
LONG_SECONDS = 120.0


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Two workers, their children waiting before locked tables, their buffers filled."""
    limits = {"CELERIAC_LOCK_SECONDS": "60", "CELERIAC_STATEMENT_SECONDS": "70"}
    with Storm(tmp_path, worker_env | limits) as storm:
        storm.crew.start(2)
        yield storm


@contextmanager
def full_buffers(storm: Storm) -> Iterator[None]:
    """Keep every child waiting, and let the workers reserve meanwhile."""
    with closing(psycopg2.connect(storm.database_url)) as connection:
        with connection.cursor() as cursor:
            # Reading stays possible: somebody looks on.
            cursor.execute(
                "LOCK TABLE faults.entry, faults.keyed, faults.movement IN EXCLUSIVE MODE"
            )
        storm.load.start(seed=61, jobs=JOBS, rate=0)
        storm.load.wait()
        wait_for(lambda: places(storm.broker_url)[1] >= RESERVED, what="full buffers")
        yield


def ask_all(storm: Storm, number: signal.Signals, answer: str) -> None:
    """Send a signal to every worker, and wait until each has said what it makes of it."""
    for worker in storm.crew.workers:
        os.kill(worker.pid, number)
    for worker in storm.crew.workers:
        wait_for(lambda: answer in worker.log, what=answer)  # noqa: B023


def assert_all_is_back(storm: Storm) -> None:
    """Each job is in its queue or over; others end what is left."""
    wait_for(lambda: not storm.crew.processes(), what="the end of every process")
    waiting, reserved = places(storm.broker_url)
    assert 0 == reserved
    # One that committed in the last moment may have gone back all the same: the ledger knows it.
    assert JOBS <= waiting + storm.ended() <= JOBS + RESERVED
    assert 0 < waiting

    storm.crew.replace_dead()
    storm.drain()
    assert JOBS == storm.ended()
    storm.finish().assert_clean()


def test_warm_shutdown_gives_the_buffer_back(storm: Storm) -> None:
    """What runs is settled, and nothing stays reserved, not even until a lease has run out."""
    with full_buffers(storm):
        ask_all(storm, signal.SIGTERM, "Warm shutdown")
    wait_for(lambda: not any(w.is_running for w in storm.crew.workers), what="the end")

    assert [0, 0] == [worker.returncode for worker in storm.crew.workers]
    waiting, _ = places(storm.broker_url)
    assert JOBS == waiting + storm.ended()
    assert_all_is_back(storm)


def test_cold_shutdown_gives_everything_back(storm: Storm) -> None:
    """After QUIT during a warm shutdown what ran goes back with the buffer, unless it committed."""
    with full_buffers(storm):
        ask_all(storm, signal.SIGTERM, "Warm shutdown")
        ask_all(storm, signal.SIGQUIT, "Cold shutdown")
        ended = storm.crew.workers
        wait_for(lambda: not any(w.is_running for w in ended), what="the end")

    assert_all_is_back(storm)


def test_cold_shutdown_ends_what_runs(worker_env: dict[str, str], tmp_path: Path) -> None:
    """QUIT does not wait for long jobs: their children end, and the jobs go back."""
    with Storm(tmp_path, worker_env) as storm:
        slow = SlowJobs(storm, tmp_path)
        storm.crew.start(1)
        (worker,) = storm.crew.workers
        jobs = slow.send(LONG_SECONDS, LONG_SECONDS)
        slow.wait_until_running(jobs)

        os.kill(worker.pid, signal.SIGQUIT)
        wait_for(lambda: not worker.is_running, what="the end before that of the jobs")

        wait_for(lambda: not storm.crew.processes(), what="the end of every process")
        assert (2, 0) == places(storm.broker_url)
        slow.let_end()
        storm.crew.replace_dead(workers=1)
        storm.drain()
        storm.finish().assert_clean()
        assert dict.fromkeys(jobs, 2) == slow.runs()
