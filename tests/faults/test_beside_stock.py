"""Stock Celery workers and ours on one Redis: nobody touches what the other has reserved."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.faults.redis_state import places, redis_client, reserved_by
from tests.faults.slow_jobs import SlowJobs
from tests.faults.standstill import let_pass
from tests.faults.stock_site import QUEUE, TASK, VISIBILITY_SECONDS
from tests.faults.storm import QUICK_RECOVERY, Storm
from tests.waiting import wait_for
from tests.workers import Worker

#: Long enough for a stock worker to give back by age whatever is in its books.
LONG_SECONDS = 3.0 * VISIBILITY_SECONDS


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Nothing started yet; the stock application's results go where ours go."""
    with Storm(tmp_path, worker_env) as storm:
        storm.crew.env |= QUICK_RECOVERY
        yield storm


@pytest.fixture
def start_stock(storm: Storm, make_worker: Callable[..., Worker]) -> Callable[[], Worker]:
    """Start a stock worker on the same Redis."""
    env = {
        "CELERY_BROKER_URL": storm.broker_url,
        "CELERY_RESULT_BACKEND": storm.result_url,
    }
    return lambda: make_worker(env, queues=QUEUE, app="tests.faults.stock_site").start()


@pytest.fixture
def stock(storm: Storm) -> Celery:
    """A producer for the stock worker."""
    return Celery(broker=storm.broker_url, backend=storm.result_url, set_as_current=False)


def books(storm: Storm) -> list[str]:
    """Return the queues that the messages in kombu's books of reserved ones came from."""
    with redis_client(storm.broker_url) as server:
        entries = server.hvals("unacked")
    return [json.loads(entry)[2] for entry in entries]


def test_stock_workers_give_none_of_our_jobs_back(
    storm: Storm, tmp_path: Path, start_stock: Callable[[], Worker], stock: Celery
) -> None:
    """Our jobs outlive the visibility timeout of stock workers, each running once."""
    slow = SlowJobs(storm, tmp_path)
    start_stock()
    storm.start(seed=91, rate=20)

    jobs = slow.send(LONG_SECONDS, LONG_SECONDS)
    slow.wait_until_running(jobs)
    answers = [stock.send_task(TASK, (0.1,), queue=QUEUE) for _ in range(20)]

    assert [0.1] * 20 == [answer.get(timeout=60) for answer in answers]
    assert set() == set(books(storm)) - {QUEUE}
    storm.finish().assert_clean()
    assert dict.fromkeys(jobs, 1) == slow.runs()


@pytest.mark.storm
def test_our_workers_leave_stock_jobs_alone(
    storm: Storm, start_stock: Callable[[], Worker], stock: Celery
) -> None:
    """A dead stock worker's job stays in its books until a stock worker comes for it."""
    dying = start_stock()
    storm.start(seed=92, rate=20)
    answer = stock.send_task(TASK, (LONG_SECONDS,), queue=QUEUE)
    wait_for(lambda: books(storm) == [QUEUE], what="the stock worker to reserve its job")

    dying.kill()
    ours = storm.crew.workers[0]
    ours.kill()
    wait_for(lambda: not reserved_by(storm.broker_url, ours.pid), what="our own recovery")
    let_pass(VISIBILITY_SECONDS)

    assert [QUEUE] == books(storm)
    assert (0, QUEUE) == (places(storm.broker_url, QUEUE)[0], *set(books(storm)))
    storm.finish().assert_clean()
    assert [QUEUE] == books(storm)
    start_stock()
    assert LONG_SECONDS == answer.get(timeout=60)
