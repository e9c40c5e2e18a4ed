"""What a worker reserved is its own while it lives, and another's two leases after its death."""

import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from celery import Celery

from tests.acceptance.event_log import EventLog
from tests.faults.crash_points import Point
from tests.faults.redis_state import redis_client, reserved_by
from tests.faults.slow_jobs import SlowJobs
from tests.faults.standstill import let_pass
from tests.faults.storm import QUICK_RECOVERY, Storm
from tests.waiting import PATIENCE_SECONDS, wait_for

LEASE_SECONDS = float(QUICK_RECOVERY["CELERIAC_LEASE_SECONDS"])

#: Every step of the main process from reserving a job to settling it, in their order.
STEPS = (
    Point.RESERVED,
    Point.GATHERED,
    Point.HANDED_OVER,
    Point.CAME_BACK,
    Point.ANSWERED,
    Point.RESULTS_STORED,
    Point.ANNOUNCED,
    Point.ACKNOWLEDGED,
)
#: Deaths at all steps are in the storm.
SAMPLE = (Point.RESERVED, Point.HANDED_OVER)
STORM = tuple(islice(cycle(STEPS), 100))
kills = pytest.mark.parametrize(
    ("steps", "most_seconds"),
    [
        # Of two, a host that stands still makes both late: many show what is usual.
        pytest.param(SAMPLE, PATIENCE_SECONDS, id="sample"),
        pytest.param(
            STORM,
            2 * LEASE_SECONDS,
            id="storm",
            marks=(pytest.mark.storm, pytest.mark.timeout(1800)),
        ),
    ],
)


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Nothing started yet."""
    with Storm(tmp_path, worker_env) as storm:
        yield storm


@kills
def test_a_dead_owners_jobs_come_back_within_two_leases(
    storm: Storm, steps: Sequence[Point], most_seconds: float
) -> None:
    """Whichever step it dies at, all that it had reserved is settled or given back in time."""
    storm.crew.env |= QUICK_RECOVERY
    storm.start(seed=11, workers=3, rate=30)

    seconds = [kill_and_time(storm, point) for point in steps]

    storm.finish().assert_clean()
    assert len(steps) == len(storm.points.kills()) == storm.crew.killed_workers()
    assert median(seconds) <= most_seconds, list(zip(seconds, steps, strict=True))


def test_a_live_owners_jobs_are_never_given_away(storm: Storm, tmp_path: Path) -> None:
    """Neither a job that lasts five leases nor one that is due in six comes twice."""
    storm.crew.env["CELERIAC_LEASE_SECONDS"] = "1"
    slow = SlowJobs(storm, tmp_path)
    producer = Celery(broker=storm.broker_url, set_as_current=False)
    with EventLog(producer) as log:
        storm.start(seed=12, rate=20)

        jobs = [*slow.send(5, 5), *slow.send(0, countdown=6)]
        slow.wait_until_running(jobs)

        storm.finish().assert_clean()
        received = [log.types(job)["task-received"] for job in jobs]
    assert dict.fromkeys(jobs, 1) == slow.runs()
    assert [1, 1, 1] == received
    assert [(1,)] == storm.execute("SELECT DISTINCT attempts FROM celeriac.job")
    assert [] == storm.recovered()
    with redis_client(storm.broker_url) as broker:
        assert 0 == broker.exists("celeriac:suspects")


@pytest.mark.storm
def test_workers_with_different_leases(storm: Storm) -> None:
    """Those with a short lease leave the jobs of one with a long lease alone until it is dead."""
    long_lease = 8.0
    storm.crew.env["CELERIAC_LEASE_SECONDS"] = "1"
    storm.crew.start(2)
    storm.crew.env["CELERIAC_LEASE_SECONDS"] = str(long_lease)
    storm.start(seed=13, workers=1, rate=30)
    slow_to_renew = storm.crew.workers[-1]
    let_pass(2 * long_lease)
    storm.advance()
    robbed = storm.recovered()

    slow_to_renew.kill()
    died_at = time.monotonic()
    with redis_client(storm.broker_url) as broker:
        wait_for(lambda: not _owners(broker, slow_to_renew.pid), what="its lease to end")
    seconds = time.monotonic() - died_at

    storm.finish().assert_clean()
    assert [] == robbed
    assert long_lease / 2 < seconds


def _owners(broker: Any, pid: int) -> list[bytes]:
    return [owner for owner in broker.zrange("celeriac:owners", 0, -1) if b":%d:" % pid in owner]


def kill_and_time(storm: Storm, point: Point) -> float:
    """Kill a main process, and return the seconds until it has nothing reserved any more."""
    # Somebody has to be there who watches the others.
    wait_for(lambda: len(storm.crew.living()) > 1, what="a worker and another one")
    goal = len(storm.points.kills()) + 1
    storm.points.arm(point)
    wait_for(lambda: len(storm.points.kills()) >= goal, what=f"a kill at {point}")
    died_at, dead = time.monotonic(), storm.points.kills()[-1].pid
    storm.crew.replace_dead(workers=3)
    nothing_left = f"the jobs of {dead}, killed at {point}, to come back"
    wait_for(lambda: not reserved_by(storm.broker_url, dead), what=nothing_left)
    seconds = time.monotonic() - died_at
    storm.advance()
    return seconds
