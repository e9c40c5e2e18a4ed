"""A job that kills its process hurts itself alone."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery
from celery.result import AsyncResult

from tests.faults.honest_worker import HonestWorker
from tests.faults.killer_kind import DEATHS, QUEUE, TASK
from tests.waiting import wait_for
from tests.workers import Worker

NEIGHBOURS = 30
CRASH_LIMIT = 2


@pytest.fixture
def poisoned_env(worker_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Settings of a worker that knows the deadly kind."""
    HonestWorker(tmp_path / "unused", worker_env["CELERIAC_DATABASE_URL"], "")
    return worker_env | {
        "CELERIAC_KINDS": "tests.faults.killer_kind:KILLER",
        "CELERIAC_CRASH_LIMIT": str(CRASH_LIMIT),
        DEATHS: str(tmp_path / "deaths"),
    }


@pytest.mark.parametrize(
    ("by", "told"),
    [
        (signal.SIGKILL, "signal 9 (SIGKILL)"),
        pytest.param(signal.SIGSEGV, "signal 11 (SIGSEGV)", marks=pytest.mark.storm),
        pytest.param(signal.SIGABRT, "signal 6 (SIGABRT)", marks=pytest.mark.storm),
        pytest.param(None, "exitcode 3", marks=pytest.mark.storm),
    ],
)
def test_poison_is_buried_alone(
    poisoned_env: dict[str, str],
    make_worker: Callable[..., Worker],
    tmp_path: Path,
    by: int | None,
    told: str,
) -> None:
    """After so many deaths alone it is buried, saying so; the jobs beside it commit once."""
    producer = Celery(
        broker=poisoned_env["CELERIAC_BROKER_URL"], backend=poisoned_env["CELERIAC_RESULT_URL"]
    )
    sent = [
        send(producer, poison=number == NEIGHBOURS // 2, by=by) for number in range(NEIGHBOURS + 1)
    ]
    poison = sent.pop(NEIGHBOURS // 2)

    worker = make_worker(poisoned_env).start()
    wait_for(lambda: all(one.ready() for one in [poison, *sent]), what="every job to end")

    deaths = [int(line) for line in (tmp_path / "deaths").read_text().split()]
    assert deaths[0] > 1, "the poison was alone from the start: nobody was in danger"
    assert [1] * CRASH_LIMIT == deaths[1:]
    assert {"SUCCESS"} == {one.status for one in sent}
    assert "FAILURE" == poison.status
    assert f"its process died {CRASH_LIMIT} times while it ran alone" in str(poison.result)
    assert told in str(poison.result)
    assert "Traceback" not in str(poison.result)
    assert len(deaths) == worker.log.count("a child process was lost")


def send(producer: Celery, *, poison: bool, by: int | None) -> AsyncResult:
    """Enqueue as any application would."""
    kwargs = {"poison": poison, "signal": by}
    return producer.send_task(TASK, kwargs=kwargs, queue=QUEUE, ignore_result=False)
