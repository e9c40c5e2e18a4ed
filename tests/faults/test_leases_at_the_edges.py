"""Leases where little happens: a worker that has no room for more, one whose queues change."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.faults.slow_jobs import SlowJobs
from tests.faults.slow_kind import LONG_QUEUE, LONG_TASK
from tests.faults.storm import QUICK_RECOVERY, Storm
from tests.waiting import wait_for
from tests.workers import Worker


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Nothing started yet."""
    with Storm(tmp_path, worker_env) as storm:
        storm.crew.env |= QUICK_RECOVERY
        yield storm


@pytest.mark.storm
def test_a_worker_without_room_keeps_its_lease(storm: Storm, tmp_path: Path) -> None:
    """A worker that waits for long jobs alone, and takes no others, is not taken for dead."""
    storm.crew.env["CELERIAC_LEASE_SECONDS"] = "1"
    slow = SlowJobs(storm, tmp_path)
    storm.crew.workers += [
        Worker(storm.crew.env, queues=LONG_QUEUE, app=storm.crew.app).start(wait=False)
        for _ in range(2)
    ]
    for worker in storm.crew.workers:
        worker.wait_ready()

    jobs = slow.send(4, 4, 4, task=LONG_TASK, queue=LONG_QUEUE)
    wait_for(lambda: storm.ended() == len(jobs), what="the long jobs to end")

    storm.finish().assert_clean()
    assert dict.fromkeys(jobs, 1) == slow.runs()
    assert [] == storm.recovered()
    assert 0 == sum(worker.log.count("stands still") for worker in storm.crew.workers)


@pytest.mark.storm
def test_a_queue_that_is_added_later(storm: Storm, tmp_path: Path) -> None:
    """What a worker takes while a queue is added is under its lease, and comes back if it dies."""
    slow = SlowJobs(storm, tmp_path)
    storm.crew.start(2)
    dying, heir = storm.crew.workers
    producer = Celery(broker=storm.broker_url, set_as_current=False)
    # A connection of its own: those of the pool may have been cut by other tests of the process.
    with producer.connection_for_write() as connection:
        for worker in (dying, heir):
            told = {"destination": [worker.name], "reply": True, "timeout": 20}
            # Each of them waits for jobs just now, and one of the two gets the next.
            answer = producer.control.add_consumer("elsewhere", connection=connection, **told)
            assert answer, f"{worker.name} did not answer"
    jobs = slow.send(3, 3, 3, 3)
    slow.wait_until_running(jobs)

    dying.kill()

    wait_for(lambda: storm.ended() == len(jobs), what="all of them to end")
    storm.finish().assert_clean()
