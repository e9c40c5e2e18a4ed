"""Redis is there, takes every connection, and answers nobody: its process stands still."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.slow_jobs import SlowJobs
from tests.faults.standstill import stopped
from tests.faults.storm import Storm
from tests.waiting import wait_for
from worker.embedded import EmbeddedValkey

SILENT = "event='the broker does not answer, the lease cannot be renewed'"
HEARD = "event='the broker answers again'"
SLOW_SECONDS = 120.0


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A server of the test's own, to be stopped."""
    server = EmbeddedValkey(tmp_path / "own")
    server.start()
    yield server
    server.remove()


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path, valkey: EmbeddedValkey) -> Iterator[Storm]:
    """Nothing started yet, on that server."""
    urls = {"CELERIAC_BROKER_URL": valkey.url(0), "CELERIAC_RESULT_URL": valkey.url(1)}
    with Storm(tmp_path, worker_env | urls | {"CELERIAC_LEASE_SECONDS": "3"}) as storm:
        yield storm


@pytest.mark.storm
def test_redis_that_stands_still_holds_nobody_up(
    storm: Storm, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    """Workers say so once, and end when they are asked to; afterwards the others go on."""
    slow = SlowJobs(storm, tmp_path)
    storm.crew.start(2)
    leaving, staying = storm.crew.workers
    # As many as one worker has children: whoever takes them, none waits behind another.
    jobs = slow.send(*[SLOW_SECONDS] * 2)
    slow.wait_until_running(jobs)

    with stopped(valkey.pid):
        for worker in storm.crew.workers:
            wait_for(lambda: SILENT in worker.log, what="the word of each")  # noqa: B023
        slow.let_end()
        wait_for(lambda: storm.ended() == len(jobs), what="the jobs to commit")
        os.kill(leaving.pid, signal.SIGTERM)
        wait_for(lambda: not leaving.is_running, what="the end")
        is_staying = staying.is_running
    wait_for(lambda: HEARD in staying.log, what="the word that it goes on")
    (after,) = slow.send(0)
    wait_for(lambda: storm.ended() == len(jobs) + 1, what="a job after that")

    assert is_staying
    assert [1, 1] == [worker.log.count(SILENT) for worker in storm.crew.workers]
    storm.finish().assert_clean()
    assert dict.fromkeys([*jobs, after], 1) == slow.runs()
