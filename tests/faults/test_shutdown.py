"""Workers that are asked to stop under load give back what they have not done."""

import os
import signal
from pathlib import Path

from tests.faults.storm import Storm
from tests.waiting import wait_for


def test_rolling_restarts_lose_nothing(worker_env: dict[str, str], tmp_path: Path) -> None:
    """One worker after the other ends by SIGTERM at full load, and its successor takes over."""
    # Reservations outlive the test by far here, so whatever a worker keeps is missed.
    with Storm(tmp_path, worker_env) as storm:
        storm.start(seed=8, rate=60)

        for worker in list(storm.crew.workers):
            os.kill(worker.pid, signal.SIGTERM)
            wait_for(lambda: worker.returncode is not None, what="its end")  # noqa: B023
            assert 0 == worker.returncode, worker.log[-2000:]
            storm.crew.replace_dead()
            storm.advance(50)

        storm.finish().assert_clean()
        assert 4 == len(storm.crew.workers)
        assert 0 == storm.crew.lost_children()
