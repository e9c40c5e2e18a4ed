"""A pool of Celery's, on a loop of its own, replaces a child that takes its time to end."""

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery.concurrency.asynpool import AsynPool
from kombu.asynchronous import Hub

from tests.waiting import PATIENCE_SECONDS
from worker.child_deaths import ChildDeaths

#: Between the end of its files and its own; a dying process needs no more than that.
LINGERS_SECONDS = 0.3


def close_files_then_end() -> None:
    """Do what the kernel does with a process that is killed, slowly."""
    os.closerange(3, 4096)
    threading.Event().wait(LINGERS_SECONDS)
    os._exit(1)


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A loop with nothing to do."""
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def pool(hub: Hub) -> Iterator[Any]:
    """A pool of one child, on that loop, without the rounds that would replace it in the end."""
    pool = AsynPool(processes=1, threads=False)
    pool.register_with_event_loop(hub)
    hub.timer.clear()
    yield pool
    for child in pool._pool:
        os.kill(child.pid, 9)
    pool.terminate()


def test_child_that_ends_slowly_is_replaced_at_once(hub: Hub, pool: Any) -> None:
    """AsynPool: maintain_pool is looked up at each death, and _sentinel_poll None tells of it."""
    ChildDeaths().attach(hub, pool)
    (before,) = pool._pool
    run(hub, until=lambda: before.inqW_fd in pool._fileno_to_inq)

    pool.apply_async(close_files_then_end)
    run(hub, until=lambda: before not in pool._pool)

    assert 1 == len(pool._pool)
    assert 1 == before.exitcode


def test_pool_is_attached_once(hub: Hub, pool: Any) -> None:
    """A worker that connects again attaches again, and its pool asks no more often than before."""
    deaths = ChildDeaths()

    deaths.attach(hub, pool)
    once = pool.maintain_pool
    deaths.attach(hub, pool)

    assert once is pool.maintain_pool


def run(hub: Hub, *, until: Any) -> None:
    """Turn the loop until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < deadline, "waited in vain"
        hub.run_once()
