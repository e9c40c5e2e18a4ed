"""The client against a real Valkey and stock Celery: one message, one result, one state."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from celery import Celery, states
from redis import Redis

from celeriac import (
    BadPayload,
    Client,
    JobCancelled,
    JobFailed,
    NotTracked,
    ResultsElsewhere,
    State,
    Ticket,
    WaitTimeout,
)
from celeriac.contract import CATALOG_KEY
from celeriac.result import RECHECK_SECONDS
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedValkey

QUEUE = "celeriac.ingest"
SOON = 0.5 * RECHECK_SECONDS
ATTEMPTS = 10
ROW = {
    "price": Decimal("1.10"),
    "day": date(2024, 5, 1),
    "at": datetime(2024, 5, 1, 12, 30),
    "id": UUID(int=7),
    "raw": b"\xff\x00",
    "big": 12345678901234567890123,
    "word": "Zürich",
}


@pytest.fixture
def stock(broker_url: str, result_url: str) -> Iterator[Celery]:
    """A stock Celery app on the test's broker and result store."""
    with Celery("stock", broker=broker_url, backend=result_url) as app:
        yield app


@pytest.fixture
def client(broker_url: str, result_url: str) -> Iterator[Client]:
    """A client on the test's broker and result store."""
    with Client(broker_url, result_url) as client:
        yield client


@pytest.fixture
def redis(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker's database, seen from outside."""
    with valkey_server.client() as redis:
        yield redis


def publish(redis: Redis, **catalog: object) -> None:
    """Publish a catalog as workers do."""
    shown = {"targets": ["flights"], "reports": ["daily"], "result_db": 1} | catalog
    redis.set(CATALOG_KEY, json.dumps(shown))


def test_message_is_the_one_of_stock_celery(client: Client, stock: Celery, redis: Redis) -> None:
    """All is what ``send_task`` pushes, but the words, the time and what names this very push."""
    stock.send_task(
        "celeriac.ingest",
        kwargs={"target": "flights", "rows": [ROW]},
        queue=QUEUE,
        task_id="a-job",
        ignore_result=False,
    )
    client.ingest("flights", ROW, id="a-job")

    ours, stocks = (json.loads(raw) for raw in redis.lrange(QUEUE, 0, -1))

    for message in (ours, stocks):
        assert {len(str(UUID(int=0)))} == {
            len(message["properties"].pop(name)) for name in ("reply_to", "delivery_tag")
        }
    stamp = datetime.fromisoformat(ours["headers"].pop("enqueued_at"))
    assert abs(datetime.now(UTC) - stamp).total_seconds() < 60
    descriptions = [message["headers"].pop("kwargsrepr") for message in (ours, stocks)]
    assert "flights · 1 row" == descriptions[0]
    assert list(stocks) == list(ours)
    assert stocks == ours


def test_stock_worker_runs_the_job(
    client: Client, broker_url: str, result_url: str, make_worker: Callable[..., Worker]
) -> None:
    """A worker without anything of ours gets exact values; its results and words come back."""
    good = client.ingest("flights", [ROW, {"a": None}])
    bad = client.ingest("broken", ROW)
    environment = {"CELERY_BROKER_URL": broker_url, "CELERY_RESULT_BACKEND": result_url}
    options = ("--pool", "solo", "--loglevel", "INFO", "--without-mingle", "--without-gossip")

    make_worker(environment, app="tests.integration.stock_app", options=options).start()

    result = good.wait(60)
    assert [ROW, {"a": None}] == result["rows"]
    assert repr([ROW, {"a": None}]) == result["shown"]
    assert State.COMMITTED is good.state()
    with pytest.raises(JobFailed, match="no such column, price") as caught:
        bad.wait(60)
    assert bad.id == caught.value.job_id
    assert State.DEAD is bad.state()


def test_wait_wakes_when_the_result_comes(client: Client, stock: Celery, redis: Redis) -> None:
    """A waiter is told by what stock Celery's backend publishes, sooner than it would look."""
    found: list[Any] = []
    seconds: list[float] = []

    def wait_for_one() -> None:
        ticket = client.ingest("flights", ROW)
        waiter = threading.Thread(target=lambda: found.append(ticket.wait(60)))
        waiter.start()
        channel = f"celery-task-meta-{ticket.id}"
        wait_for(lambda: dict(redis.pubsub_numsub(channel))[channel.encode()], what="a subscriber")
        stored = time.monotonic()
        stock.backend.store_result(ticket.id, {"inserted": 1}, states.SUCCESS)
        waiter.join(60)
        seconds.append(time.monotonic() - stored)

    # A host that stands still may make some late; one that only looks again is always late.
    while not seconds or (min(seconds) > SOON and len(seconds) < ATTEMPTS):
        wait_for_one()

    assert {"inserted": 1} == found[-1]
    assert min(seconds) < SOON


def test_wait_rechecks_without_a_message(client: Client, redis: Redis) -> None:
    """A result whose message was lost is found all the same."""
    ticket = client.ingest("flights", ROW)
    found: list[Any] = []
    waiter = threading.Thread(target=lambda: found.append(ticket.wait(60)))
    waiter.start()
    channel = f"celery-task-meta-{ticket.id}"
    wait_for(lambda: dict(redis.pubsub_numsub(channel))[channel.encode()], what="a subscriber")

    redis.select(1)
    redis.set(channel, '{"status": "SUCCESS", "result": {"inserted": 2}}')
    redis.select(0)

    waiter.join(60)
    assert [{"inserted": 2}] == found


def test_cancelled_held_and_unended_jobs(client: Client, stock: Celery) -> None:
    """A revoked job raises, a held one is waited for, and a wait ends in time."""
    cancelled, held, waiting = (client.ingest("flights", ROW) for _ in range(3))
    stock.backend.mark_as_revoked(cancelled.id, "by hand")
    stock.backend.mark_as_retry(held.id, ValueError("target is locked"))

    with pytest.raises(JobCancelled, match="by hand"):
        cancelled.wait(60)
    with pytest.raises(WaitTimeout, match=r"no end within 0\.2 s, last seen held"):
        held.wait(0.2)
    with pytest.raises(WaitTimeout, match="last seen unknown"):
        waiting.wait(0.2)

    expected = [State.CANCELLED, State.HELD, State.QUEUED]
    assert expected == [ticket.state() for ticket in (cancelled, held, waiting)]


def test_state_says_only_what_redis_knows(client: Client, redis: Redis) -> None:
    """A message taken from its queue, and a job of somebody else, are unknown."""
    mine = client.ingest("flights", ROW)
    other = client.ticket(mine.id)

    before = [mine.state(), other.state()]
    redis.delete(QUEUE)

    assert [State.QUEUED, State.UNKNOWN] == before
    assert [State.UNKNOWN, State.UNKNOWN] == [mine.state(), other.state()]


def test_untracked_jobs_are_not_waited_for(client: Client) -> None:
    """Waiting for a result that nobody asked for fails at once."""
    ticket = client.report("daily", {"day": date(2024, 5, 1)}, format="csv", track=False)

    with pytest.raises(NotTracked, match="track=False"):
        ticket.wait()


def test_report_goes_to_its_queue(client: Client, redis: Redis) -> None:
    """A report's message says its task and, in a few words, what it is."""
    client.report("daily", {"day": date(2024, 5, 1)}, format="csv")

    headers = json.loads(redis.lindex("celeriac.report", 0) or "")["headers"]
    assert ["celeriac.report", "daily · csv"] == [headers["task"], headers["kwargsrepr"]]


def test_report_names_what_it_comes_after(client: Client, redis: Redis) -> None:
    """A ticket stands for its job's id; a position goes as it is, anything else is refused."""
    ingest = client.ingest("flights", ROW)
    for after in (ingest, "0/16B3748"):
        client.report("daily", after=after)
    with pytest.raises(BadPayload, match="after must be text"):
        client.report("daily", after=5)  # type: ignore[arg-type]  # what a caller without types does

    messages = [json.loads(raw) for raw in redis.lrange("celeriac.report", 0, -1)]
    sent = [json.loads(base64.b64decode(one["body"]))[1]["after"] for one in messages]
    assert {ingest.id, "0/16B3748"} == set(sent)


def test_published_names_are_checked(client: Client, redis: Redis) -> None:
    """A target or report that no worker serves is refused; one that came since is not."""
    publish(redis)
    client.ingest("flights", ROW)
    with pytest.raises(BadPayload, match="target 'airports' is not served, workers serve 'fl"):
        client.ingest("airports", ROW)
    with pytest.raises(BadPayload, match="name 'weekly' is not served, workers serve 'daily'"):
        client.report("weekly")

    publish(redis, targets=["flights", "airports"])
    client.ingest("airports", ROW)

    assert 2 == redis.llen(QUEUE)


def test_published_forms_are_checked(client: Client, redis: Redis) -> None:
    """Parameters that a report does not take are not sent, alone or after a group; new ones are."""
    form = {"params": {"day": {"type": "date"}}, "formats": ["html"]}
    publish(redis, report_forms={"daily": form})
    with pytest.raises(BadPayload, match="format must be one of html, got 'csv'"):
        client.report("daily", format="csv")
    group = client.group()
    group.ingest("flights", ROW)
    with pytest.raises(BadPayload, match="params may hold day for daily, got 'month'"):
        group.then_report("daily", {"month": 5})

    form["params"]["month"] = {"type": "int", "required": True}
    publish(redis, report_forms={"daily": form})
    client.report("daily", {"month": 5})

    assert (0, 1) == (redis.llen(QUEUE), redis.llen("celeriac.report"))


def test_an_unreadable_catalog_stops_nobody(client: Client, redis: Redis) -> None:
    """A key of another type, as one that may not be read, leaves the check to the worker."""
    redis.lpush(CATALOG_KEY, "a list")

    client.ingest("anything", ROW)

    assert 1 == redis.llen(QUEUE)


def test_results_are_found_where_workers_say(broker_url: str, redis: Redis) -> None:
    """The published database holds the results, also on the broker's server; else say so."""
    with Client(broker_url) as client:
        ticket = client.ingest("flights", ROW)
        redis.set(f"celery-task-meta-{ticket.id}", '{"status": "RETRY", "result": null}')
        beside = ticket.state()
    publish(redis, result_db=3)
    with Client(broker_url) as client:
        elsewhere = client.ticket(ticket.id).state()
    publish(redis, result_db=None)

    with Client(broker_url) as client, pytest.raises(ResultsElsewhere, match="result_url"):
        client.ticket(ticket.id).state()
    assert [State.HELD, State.UNKNOWN] == [beside, elsewhere]


def test_key_prefix_goes_before_the_queue(broker_url: str, redis: Redis) -> None:
    """With a prefix the list is another; the message still names the queue alone."""
    with Client(broker_url, key_prefix="shop:") as client:
        ticket = client.ingest("flights", ROW)

        pushed = json.loads(redis.lindex(f"shop:{QUEUE}", 0) or "")
        assert QUEUE == pushed["properties"]["delivery_info"]["routing_key"]
        assert State.QUEUED is ticket.state()


def test_threads_share_a_client(client: Client, redis: Redis) -> None:
    """Jobs enqueued by many threads at once arrive all, each under its own id."""
    tickets: list[Ticket] = []
    threads = [
        threading.Thread(
            target=lambda: tickets.extend(client.ingest("flights", ROW) for _ in range(50))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert (400, 400) == (redis.llen(QUEUE), len({ticket.id for ticket in tickets}))
