"""Processes that stand still for longer than a lease and then go on: nothing lost or doubled."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults.redis_state import SLABS, places, redis_client, reserved_by
from tests.faults.standstill import let_pass, stopped
from tests.faults.storm import QUICK_RECOVERY, Storm
from tests.waiting import wait_for
from tests.workers import Worker

LEASE_SECONDS = float(QUICK_RECOVERY["CELERIAC_LEASE_SECONDS"])

STORM = pytest.param(30, id="storm", marks=(pytest.mark.storm, pytest.mark.timeout(1800)))


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Nothing started yet; a child may stand still for longer than a batch may last."""
    with Storm(tmp_path, worker_env) as storm:
        storm.crew.env |= QUICK_RECOVERY | {"CELERIAC_BATCH_SECONDS": "60"}
        yield storm


@pytest.mark.parametrize("times", [pytest.param(1, id="sample"), STORM])
def test_children_that_stand_still(storm: Storm, times: int) -> None:
    """Their batches stay theirs, and commit once they go on: their worker renews its lease."""
    random = Random(21)
    storm.start(seed=21, rate=40)

    for _ in range(times):
        child = random.choice(random.choice(storm.crew.living()).children())
        with stopped(child):
            let_pass(1.5 * LEASE_SECONDS)
        storm.advance(20)

    storm.finish().assert_clean()
    assert [] == storm.recovered()
    assert 0 == storm.crew.lost_children()


@pytest.mark.parametrize("times", [STORM])
def test_main_processes_that_stand_still(storm: Storm, times: int) -> None:
    """Others take over their jobs; what they still believe to have afterwards does no harm."""
    storm.start(seed=22, rate=40)

    for number in range(times):
        sleeper = storm.crew.workers[number % 2]
        before, heard = recoveries(storm, sleeper), admissions(sleeper)
        with stopped_with_jobs(storm, sleeper):
            wait_for(lambda: recoveries(storm, sleeper) > before, what="recovery")  # noqa: B023
        wait_for_another_admission(sleeper, heard)
        storm.advance(20)

    storm.finish().assert_clean()


def test_a_main_process_that_stood_still_works_on(storm: Storm) -> None:
    """Once it has learned that its jobs were given to others, it takes new ones like any worker."""
    storm.start(seed=23, rate=40)
    sleeper, other = storm.crew.workers

    with stopped_with_jobs(storm, sleeper):
        wait_for(lambda: recoveries(storm, sleeper), what="its jobs to be recovered")
    wait_for_another_admission(sleeper, 0)
    other.stop()

    storm.advance(100)
    storm.finish().assert_clean()


@contextmanager
def stopped_with_jobs(storm: Storm, worker: Worker) -> Iterator[None]:
    """Let a main process stand still at a moment at which it holds jobs: others notice no other."""
    for _ in range(20):
        with stopped(worker.pid):
            # The message that it was waiting for comes under its lease all the same.
            let_pass(0.5)
            if reserved_by(storm.broker_url, worker.pid):
                yield
                return
    raise AssertionError(
        f"worker {worker.pid} never held a job when it was stopped; {places(storm.broker_url)} "
        f"wait and are reserved, {storm.ended()} ended\n{worker.log[-3000:]}"
    )


def recoveries(storm: Storm, worker: Worker) -> int:
    """Count how often a worker's jobs were given to others."""
    return sum(f":{worker.pid}:" in owner for owner in storm.recovered())


def wait_for_another_recovery(storm: Storm, worker: Worker, before: int) -> None:
    """Wait until others say once more that they gave a worker's jobs back."""
    try:
        wait_for(lambda: recoveries(storm, worker) > before, what="a recovery")
    except AssertionError as error:
        with redis_client(storm.broker_url) as redis:
            owners: Any = redis.zrange("celeriac:owners", 0, -1, withscores=True)
            lengths = {key: redis.llen(key) for key in redis.keys(SLABS)}
            books = {key: redis.hgetall(key) for key in redis.keys("celeriac:slabs:*")}
        error.add_note(f"{worker.pid} stands still; {owners} {lengths} {books}")
        for one in storm.crew.workers:
            error.add_note(f"{one.pid} {one.is_running}\n{one.log[-3000:]}")
        raise


def wait_for_another_admission(worker: Worker, heard: int) -> None:
    """Wait until a worker says once more that it was recovered."""
    try:
        wait_for(lambda: admissions(worker) > heard, what="the sleeper to learn of its recovery")
    except AssertionError as error:
        error.add_note(f"runs: {worker.is_running}\n{worker.log[-3000:]}")
        raise


def admissions(worker: Worker) -> int:
    """Count how often a worker said that others have its jobs now."""
    return worker.log.count("the lease ran out and others took the jobs")
