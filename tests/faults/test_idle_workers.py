"""Many idle workers, one large job: one of them gets it, the others sleep on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.acceptance.event_log import EventLog
from tests.faults.entries import Entries
from tests.faults.redis_state import redis_client
from tests.faults.standstill import let_pass
from tests.faults.storm import Storm
from tests.waiting import wait_for
from tests.workers import Worker

WORKERS = 4
MEBIBYTE = 1024 * 1024

_WHO_COMMITTED = "SELECT DISTINCT worker FROM celeriac.job"


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Many workers with nothing to do."""
    with Storm(tmp_path, worker_env) as storm:
        storm.crew.workers += [
            Worker(storm.crew.env, concurrency=1, app=storm.crew.app).start(wait=False)
            for _ in range(WORKERS)
        ]
        for worker in storm.crew.workers:
            worker.wait_ready()
        # Until each has looked for jobs in vain and waits for the next one.
        let_pass(1)
        yield storm


def test_a_job_wakes_one_of_many_idle_workers(storm: Storm, tmp_path: Path) -> None:
    """The job travels to one worker alone, and each of them still takes jobs afterwards."""
    entries = Entries(storm, tmp_path / "entries.jsonl")
    producer = Celery(broker=storm.broker_url, set_as_current=False)
    with EventLog(producer) as log:
        sent_before = sent_bytes(storm)
        (large,) = entries.send(note_bytes=MEBIBYTE)
        answer = large.get(timeout=60)
        log.wait_for(large.id, "task-succeeded")
        sent = sent_bytes(storm) - sent_before

        assert 1 == answer["inserted"]
        assert 1 == log.types(large.id)["task-received"]
    # A message is a third larger than its body; a second copy would not fit.
    assert MEBIBYTE < sent < 2 * MEBIBYTE

    def all_have_committed() -> bool:
        entries.send()
        return len(storm.execute(_WHO_COMMITTED)) == WORKERS

    wait_for(all_have_committed, what="a job for each worker")
    storm.finish().assert_clean()


def sent_bytes(storm: Storm) -> int:
    """Read how many bytes Redis has sent to anybody so far."""
    with redis_client(storm.broker_url) as server:
        return int(server.info("stats")["total_net_output_bytes"])
