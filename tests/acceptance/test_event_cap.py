"""Above a number of jobs a second some are told of whole and others not at all; failures always."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from celeriac import Client
from tests.acceptance.event_log import EventLog
from tests.acceptance.site import Site
from tests.waiting import wait_for
from tests.workers import Worker

CAP = 50
#: Of whom no job's events are.
WORKER = "worker"
JOBS = 1_000
WHOLE_STORY = ["task-received", "task-started", "task-succeeded"]
FAILURE = ["task-received", "task-started", "task-failed"]
BAD = [f"bad-{number}" for number in range(20)]


@pytest.fixture(scope="module")
def stories(site: Site) -> dict[str, list[dict[str, Any]]]:
    """The events of each job of a flood that awaited a worker, and of one in the calm after."""
    with Client(site.broker_url, site.result_url) as client:
        for number in range(JOBS):
            client.ingest("beta", [{"n": number}], id=f"flood-{number}", track=False)
    for id_ in BAD:
        site.send(id_, "nowhere", [{"n": 1}], ignore_result=True)
    worker = Worker(site.env | {"CELERIAC_EVENTS_PER_SECOND": str(CAP)})
    with EventLog(site.stock) as log:
        worker.start()
        try:
            site.wait_until_settled()
            calm = datetime.now(UTC) + timedelta(seconds=1.1)
            wait_for(lambda: datetime.now(UTC) > calm, what="the flood to be a second ago")
            site.send("calm", "beta", [{"n": 1}])
            log.wait_for("calm", "task-succeeded")
        finally:
            worker.kill()
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in log.events:
        found[event.get("uuid", WORKER)].append(event)
    return found


def test_flood_is_shown_in_part(stories: dict[str, list[dict[str, Any]]]) -> None:
    """Some jobs of the flood are shown, and of each second no more than the setting says."""
    seen = [
        event["timestamp"]
        for id_, events in stories.items()
        for event in events
        if id_.startswith("flood-") and event["type"] == "task-received"
    ]

    assert 0 < len(seen) < JOBS
    # Seconds may begin anywhere, and jobs are chosen a moment before they are told of.
    seconds = max(seen) - stories[WORKER][0]["timestamp"]
    assert len(seen) <= CAP * (2 + seconds)


def test_job_is_shown_whole_or_not_at_all(stories: dict[str, list[dict[str, Any]]]) -> None:
    """Whatever is shown of the flood has each of its three events, once, in order."""
    told = Counter(
        tuple(event["type"] for event in events)
        for id_, events in stories.items()
        if id_.startswith("flood-")
    )

    assert [tuple(WHOLE_STORY)] == list(told)


def test_failures_are_always_shown(stories: dict[str, list[dict[str, Any]]]) -> None:
    """Each job that was buried in the flood has its whole story, words and all."""
    assert [FAILURE] * len(BAD) == [[event["type"] for event in stories[id_]] for id_ in BAD]
    assert {"nowhere · 1 row"} == {stories[id_][0]["args"] for id_ in BAD}


def test_calm_shows_every_job(stories: dict[str, list[dict[str, Any]]]) -> None:
    """A second after the flood a lone job is shown."""
    assert WHOLE_STORY == [event["type"] for event in stories["calm"]]


def test_no_events_at_all(site: Site, make_worker: Callable[..., Worker]) -> None:
    """With a cap of zero jobs commit as ever, and only failures are told of."""
    make_worker(site.env | {"CELERIAC_EVENTS_PER_SECOND": "0"}).start()
    with EventLog(site.stock) as log:
        site.send("silent", "beta", [{"n": 1}]).get(timeout=60)
        site.send("loud", "nowhere", [{"n": 1}])
        log.wait_for("loud", "task-failed")

    assert ([], FAILURE) == (log.of("silent"), [event["type"] for event in log.of("loud")])
