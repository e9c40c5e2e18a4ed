"""Deployments under load: workers end by TERM, successors take over, and nobody notices."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.redis_state import places, redis_client
from tests.faults.slow_jobs import SlowJobs
from tests.faults.storm import Storm
from tests.waiting import wait_for

LONG_SECONDS = 60.0
_REPEATED = "SELECT id, attempts FROM celeriac.job WHERE attempts > 1"


@pytest.mark.parametrize(
    "restarts",
    [
        pytest.param(2, id="sample"),
        pytest.param(20, id="storm", marks=(pytest.mark.storm, pytest.mark.timeout(900))),
    ],
)
def test_rolling_restarts_lose_nothing(
    worker_env: dict[str, str], tmp_path: Path, restarts: int
) -> None:
    """Worker by worker is replaced at full load; no job is lost, doubled or counts an attempt."""
    # Leases outlive the sample by far: whatever a worker keeps, or is thought to have, is missed.
    with Storm(tmp_path, worker_env) as storm:
        storm.start(seed=8, rate=60)

        for _ in range(restarts):
            leaving = storm.crew.living()[0]
            # As in a rolling deployment the successor is there before anybody leaves.
            storm.crew.add()
            storm.crew.workers[-1].wait_ready()
            os.kill(leaving.pid, signal.SIGTERM)
            wait_for(lambda: leaving.returncode is not None, what="its end")  # noqa: B023
            assert 0 == leaving.returncode, leaving.log[-2000:]
            storm.advance(25)

        storm.finish().assert_clean()
        assert 2 + restarts == len(storm.crew.workers)
        assert ([], 0, []) == (storm.recovered(), storm.crew.lost_children(), suspects(storm))
        assert [] == storm.execute(_REPEATED)


def test_second_term_gives_everything_back_at_once(
    worker_env: dict[str, str], tmp_path: Path
) -> None:
    """Asked twice, a worker waits for nothing that runs: it goes back, and counts no attempt."""
    with Storm(tmp_path, worker_env) as storm:
        slow = SlowJobs(storm, tmp_path)
        storm.crew.start(1)
        (worker,) = storm.crew.workers
        slow.wait_until_running(slow.send(LONG_SECONDS, LONG_SECONDS))
        waiting = slow.send(LONG_SECONDS)

        os.kill(worker.pid, signal.SIGTERM)
        wait_for(lambda: "Warm shutdown" in worker.log, what="the drain to begin")
        assert worker.is_running, "it did not wait for what runs"
        os.kill(worker.pid, signal.SIGTERM)
        wait_for(lambda: not worker.is_running, LONG_SECONDS / 2, "the end before that of the jobs")

        wait_for(lambda: not storm.crew.processes(), what="the end of every process")
        assert (0, (2 + len(waiting), 0)) == (worker.returncode, places(storm.broker_url))
        assert "asked again to stop" in worker.log
        assert [] == suspects(storm)


def suspects(storm: Storm) -> list[bytes]:
    """Return what counts as having died with its process."""
    with redis_client(storm.broker_url) as server:
        return list(server.hkeys("celeriac:suspects"))
