"""Each job's events tell its life once: received, started, and how it ended."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.event_log import EventLog
from tests.acceptance.site import Site
from tests.waiting import wait_for
from tests.workers import Worker


@pytest.fixture(scope="module")
def log(site: Site, worker: Worker) -> Iterator[EventLog]:
    """What the module's worker tells Flower."""
    with EventLog(site.stock) as log:
        yield log


def test_events_of_a_committed_job(site: Site, log: EventLog) -> None:
    """received, started, succeeded: each once, in this order, with words instead of rows."""
    rows = [{"n": n} for n in range(100)]

    site.send("good", "alpha", rows)
    log.wait_for("good", "task-succeeded")

    events = log.of("good")
    assert ["task-received", "task-started", "task-succeeded"] == [one["type"] for one in events]
    received, _, succeeded = events
    assert ("alpha · 100 rows", "") == (received["args"], received["kwargs"])
    assert '{"rows": 100, "inserted": 100, "quarantined": 0}' == succeeded["result"]
    assert succeeded["runtime"] > 0


def test_events_of_a_buried_job(site: Site, log: EventLog) -> None:
    """received, started, failed: each once, with the worker's words."""
    site.send("bad", "nowhere", [{"n": 1}])
    log.wait_for("bad", "task-failed")

    events = log.of("bad")
    assert ["task-received", "task-started", "task-failed"] == [one["type"] for one in events]
    assert events[-1]["exception"].startswith("target 'nowhere' is not in the catalog")


def test_events_of_an_expired_job(site: Site, log: EventLog) -> None:
    """revoked comes once and says that it expired; neither succeeded nor failed comes."""
    site.send("late", "alpha", [{"n": 1}], expires=datetime.now(UTC) - timedelta(hours=1))
    log.wait_for("late", "task-revoked")

    assert {"task-received": 1, "task-started": 1, "task-revoked": 1} == log.types("late")
    assert log.of("late")[-1]["expired"] is True


def test_events_of_a_full_batch(site: Site, log: EventLog) -> None:
    """Of 200 jobs that commit together each has its three events, once."""
    ids = [f"many-{n}" for n in range(200)]

    for id_ in ids:
        site.send(id_, "beta", [{"n": 1}], ignore_result=True)
    for id_ in ids:
        log.wait_for(id_, "task-succeeded")

    each = {"task-received": 1, "task-started": 1, "task-succeeded": 1}
    assert [] == [id_ for id_ in ids if log.types(id_) != each]


def test_events_of_an_unknown_task(site: Site, log: EventLog) -> None:
    """A task that nobody knows fails visibly, once."""
    site.send_task("shop.unknown", task_id="unknown")
    log.wait_for("unknown", "task-failed")

    assert 1 == log.types("unknown")["task-failed"]
    assert "unknown task" in log.of("unknown")[-1]["exception"]


def test_committed_job_that_comes_again(site: Site, log: EventLog) -> None:
    """A second delivery, expired by now, is told as succeeded again, never as anything else."""
    site.send("again", "alpha", [{"n": 1}])
    log.wait_for("again", "task-succeeded")

    site.send("again", "alpha", [{"n": 1}], expires=datetime.now(UTC) - timedelta(hours=1))
    site.wait_until_settled()
    site.send("marker", "alpha", [{"n": 1}])
    log.wait_for("marker", "task-succeeded")

    told = log.types("again")
    assert {"task-succeeded"} == set(told) - {"task-received", "task-started"}


def test_heartbeats_count_running_jobs(site: Site, log: EventLog) -> None:
    """While a job runs that Celery has no request of, heartbeats tell of one active job."""
    with site.closed_gate():
        site.send("beating", "gate", [{"n": 1}])
        site.wait_for_the_gate()

        wait_for(
            lambda: [
                one for one in log.events if one["type"] == "worker-heartbeat" and one["active"]
            ],
            what="a heartbeat with an active job",
        )
