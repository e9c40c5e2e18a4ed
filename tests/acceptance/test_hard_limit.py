"""A batch that runs too long is treated as a lost process: its jobs run again, each alone."""

from collections.abc import Callable

from celery import Celery

from tests.acceptance.sleeper_kind import TASK
from tests.waiting import wait_for
from tests.workers import Worker


def test_a_job_over_its_time_is_buried_alone(
    worker_env: dict[str, str], make_worker: Callable[..., Worker]
) -> None:
    """The others of its batch commit, and the worker goes on with a new child."""
    env = worker_env | {
        "CELERIAC_KINDS": "tests.acceptance.sleeper_kind:SLEEPER",
        "CELERIAC_CRASH_LIMIT": "1",
    }
    producer = Celery(broker=env["CELERIAC_BROKER_URL"], backend=env["CELERIAC_RESULT_URL"])
    lengths = [0.0] * 5 + [120.0] + [0.0] * 5
    sent = [
        producer.send_task(
            TASK, kwargs={"seconds": seconds}, queue="celeriac.ingest", ignore_result=False
        )
        for seconds in lengths
    ]

    worker = make_worker(env).start()
    wait_for(lambda: all(one.ready() for one in sent), what="every job to end")

    over = sent.pop(5)
    assert {"SUCCESS"} == {one.status for one in sent}
    assert "FAILURE" == over.status
    assert "it ran longer than 5 s and was killed" in str(over.result)
    assert worker.is_running
