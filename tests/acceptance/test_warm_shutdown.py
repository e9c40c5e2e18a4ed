"""TERM with jobs waiting: what runs is settled, what waits goes back, nothing is lost."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.site import Site
from tests.waiting import wait_for
from tests.workers import Worker

JOBS = 60


@pytest.fixture
def start_worker(site: Site) -> Iterator[Callable[[], Worker]]:
    """Start workers that let a child wait at the gate; all end with the test."""
    started: list[Worker] = []

    def start() -> Worker:
        started.append(
            Worker(
                site.env | {"CELERIAC_LOCK_SECONDS": "60", "CELERIAC_STATEMENT_SECONDS": "70"}
            ).start()
        )
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def test_warm_shutdown_loses_nothing(site: Site, start_worker: Callable[[], Worker]) -> None:
    """A running batch commits and is settled, the others go back; the next worker ends them."""
    first = start_worker()
    ids = [f"job-{n}" for n in range(JOBS)]
    with site.closed_gate():
        running = site.send("running", "gate", [{"n": 0}])
        site.wait_for_the_gate()
        for n, id_ in enumerate(ids):
            site.send(id_, "alpha", [{"n": n}], ignore_result=True)
        wait_for(lambda: site.queued() == 0, what="the worker to reserve all")

        os.kill(first.pid, signal.SIGTERM)
        wait_for(lambda: "Warm shutdown" in first.log, what="the shutdown to begin")
    wait_for(lambda: not first.is_running, what="the worker to end")

    assert 0 == first.returncode
    assert {"rows": 1, "inserted": 1, "quarantined": 0} == running.get(timeout=60)
    assert site.queued() == site.unsettled() == JOBS - len(site.states(*ids))
    start_worker()
    wait_for(lambda: len(site.states(*ids)) == JOBS, what="the second worker to end them")
    site.wait_until_settled()
    assert {"committed"} == set(site.states(*ids).values())
    assert [(JOBS, JOBS)] == site.query("SELECT count(*), count(DISTINCT n) FROM shop.alpha")


def test_idle_worker_ends_cleanly(site: Site, start_worker: Callable[[], Worker]) -> None:
    """An idle worker ends with status 0, leaves no connection and no reservation behind."""
    worker = start_worker()
    site.send("lone", "beta", [{"n": 1}]).get(timeout=60)

    worker.stop()

    assert 0 == worker.returncode
    assert 0 == site.unsettled()
    connections = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'celeriac%%'"
    )
    wait_for(lambda: not site.query(connections, ()), what="PostgreSQL to see their ends")
