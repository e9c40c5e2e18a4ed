"""Cancel jobs wherever they are, and be told the truth about it."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.app.control import Control
from redis import Redis

from celeriac import Cancellation, Client, JobCancelled, State
from celeriac.contract import CANCELLED_KEPT_SECONDS, CANCELLED_KEY
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedValkey

QUEUE = "celeriac.ingest"
ROW = {"a": 1}
PIDBOX = "/0.celery.pidbox"


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


def test_a_waiting_job_never_runs(client: Client, redis: Redis, broker_url: str) -> None:
    """Its message is gone, its neighbours stay, whoever waits is told, stock Celery too."""
    kept, ticket = client.ingest("flights", ROW), client.ingest("flights", ROW)

    found = ticket.cancel()

    assert Cancellation.CANCELLED is found
    (left,) = redis.lrange(QUEUE, 0, -1)
    assert kept.id == json.loads(left)["headers"]["id"]
    assert State.CANCELLED is ticket.state()
    with pytest.raises(JobCancelled, match="cancelled before it started"):
        ticket.wait(60)
    assert redis.zscore(CANCELLED_KEY, ticket.id) is not None


def test_stock_celery_reads_the_cancelling(
    client: Client, broker_url: str, result_url: str
) -> None:
    """AsyncResult shows the state REVOKED."""
    ticket = client.ingest("flights", ROW)

    ticket.cancel()

    with Celery("stock", broker=broker_url, backend=result_url) as app:
        assert "REVOKED" == app.AsyncResult(ticket.id).state


@pytest.mark.parametrize("priority", [0, 9])
def test_somebody_elses_job_is_found(client: Client, broker_url: str, priority: int) -> None:
    """By its id alone a job is found in any list, under whatever id it has."""
    job_id = 'it\'s "a" job / Zürich'
    with Celery("stock", broker=broker_url) as app:
        for one in ("before", job_id, "after"):
            app.send_task(
                "celeriac.ingest", queue=QUEUE, task_id=one, priority=priority, ignore_result=True
            )

    assert Cancellation.CANCELLED is client.cancel(job_id)

    assert 2 == client.depth().waiting


def test_an_id_in_another_text_is_not_the_job(client: Client, redis: Redis) -> None:
    """A message that only mentions the id stays."""
    client.ingest("flights", ROW, id="a-job")
    raw = json.loads(redis.lpop(QUEUE) or "")
    raw["headers"]["stamps"] = {"id": "other"}
    redis.lpush(QUEUE, json.dumps(raw))

    assert Cancellation.UNKNOWN is client.cancel("other")

    assert 1 == redis.llen(QUEUE)


def test_an_untracked_job_leaves_no_result(client: Client, redis: Redis) -> None:
    """Where nobody asked for a result, none is written."""
    ticket = client.ingest("flights", ROW, track=False)

    assert Cancellation.CANCELLED is ticket.cancel()

    redis.select(1)
    assert 0 == redis.dbsize()
    redis.select(0)


def test_what_ended_is_not_cancelled(client: Client, redis: Redis) -> None:
    """A job that committed or was buried is said to have, and nothing is touched."""
    redis.select(1)
    for job_id, status in (("good", "SUCCESS"), ("bad", "FAILURE")):
        redis.set(f"celery-task-meta-{job_id}", f'{{"status": "{status}", "result": null}}')
    redis.select(0)

    found = [client.cancel(job_id) for job_id in ("good", "bad")]

    assert [Cancellation.COMMITTED, Cancellation.DEAD] == found
    assert 0 == redis.exists(CANCELLED_KEY)


def test_a_suspect_is_left_to_the_workers(client: Client, redis: Redis) -> None:
    """A message whose process died may have committed: it stays, and the workers are asked."""
    ticket = client.ingest("flights", ROW)
    raw = redis.lindex(QUEUE, 0)
    redis.hset("celeriac:suspects", hashlib.sha1(raw).hexdigest(), 0)  # type: ignore[arg-type]

    assert Cancellation.UNKNOWN is ticket.cancel()

    assert 1 == redis.llen(QUEUE)
    assert State.QUEUED is ticket.state()


def test_a_job_of_the_outbox_is_left_to_the_workers(client: Client, redis: Redis) -> None:
    """Taken from Redis alone it would come again: it stays, and the wish is noted."""
    ticket = client.ingest("flights", ROW)
    raw = json.loads(redis.lpop(QUEUE) or "")
    raw["headers"]["relayed"] = True
    redis.lpush(QUEUE, json.dumps(raw))

    found = client.cancel(ticket.id)

    assert (Cancellation.UNKNOWN, 1) == (found, redis.llen(QUEUE))
    assert redis.zscore(CANCELLED_KEY, ticket.id) is not None


def test_the_look_into_a_queue_is_bounded(client: Client, redis: Redis) -> None:
    """Somebody's job deep in a long queue is not searched for, but noted."""
    rows = ({"n": n} for n in range(1_500))
    ids = client.ingest_many("flights", rows, rows_per_job=1, track=True).ids

    deep, near = client.cancel(ids[750]), client.cancel(ids[-400])

    assert (Cancellation.UNKNOWN, Cancellation.CANCELLED) == (deep, near)
    assert 1_499 == redis.llen(QUEUE)
    assert redis.zscore(CANCELLED_KEY, ids[750]) is not None


def test_notes_are_forgotten_after_a_time(client: Client, redis: Redis) -> None:
    """The set holds the server's time and lets go what is older than a week."""
    redis.zadd(CANCELLED_KEY, {"old": 1})

    client.cancel("new")

    seconds, _ = redis.time()
    assert [b"new"] == redis.zrange(CANCELLED_KEY, 0, -1)
    assert abs((redis.zscore(CANCELLED_KEY, "new") or 0) / 1000 - seconds) < 60  # type: ignore[operator]
    assert 0 < redis.ttl(CANCELLED_KEY) <= CANCELLED_KEPT_SECONDS


def test_workers_hear_what_stock_celery_would_say(
    client: Client, redis: Redis, broker_url: str
) -> None:
    """The order is that of ``control.revoke``, in form and in channel."""
    with redis.pubsub() as pubsub, Celery("stock", broker=broker_url) as app:
        pubsub.subscribe(PIDBOX)
        wait_for(pubsub.get_message, what="the subscription")

        Control(app).revoke("a-job")
        heard = client.cancel("a-job")

        stocks, ours = (json.loads(wait_for(pubsub.get_message)["data"]) for _ in "ab")
    assert Cancellation.ASKED is heard
    assert _order(stocks) == _order(ours)
    for message in (stocks, ours):
        message["properties"].pop("delivery_tag")
        message.pop("body")
        # The clock is each one's own; ours expires, so that it cannot surprise later.
        assert {"clock", "expires"} == message.pop("headers").keys()
    assert stocks == ours


def test_a_stock_worker_obeys(
    client: Client, broker_url: str, result_url: str, make_worker: Callable[..., Worker]
) -> None:
    """A job that a stock worker has reserved, and that waits there for its time, never runs."""
    environment = {"CELERY_BROKER_URL": broker_url, "CELERY_RESULT_BACKEND": result_url}
    options = ("--pool", "solo", "--loglevel", "INFO", "--without-mingle", "--without-gossip")
    with Celery("stock", broker=broker_url) as app:
        make_worker(environment, app="tests.integration.stock_app", options=options).start()
        app.send_task("celeriac.ingest", ("t", []), queue=QUEUE, task_id="a-job", countdown=3)
        inspect = app.control.inspect(timeout=0.5)
        wait_for(lambda: any((inspect.scheduled() or {}).values()), what="the job at the worker")

        found = client.cancel("a-job")

    assert Cancellation.ASKED is found
    with pytest.raises(JobCancelled):
        client.ticket("a-job").wait(60)


def test_a_prefix_goes_before_all_keys(broker_url: str, redis: Redis) -> None:
    """A deployment with a prefix shares neither notes nor orders with others."""
    with Client(broker_url, key_prefix="shop:") as client, redis.pubsub() as pubsub:
        pubsub.subscribe("shop:" + PIDBOX)
        wait_for(pubsub.get_message, what="the subscription")
        ticket = client.ingest("flights", ROW)

        assert Cancellation.CANCELLED is ticket.cancel()

        assert wait_for(pubsub.get_message)["data"]
    assert redis.zscore("shop:" + CANCELLED_KEY, ticket.id) is not None


def test_a_running_report_is_stopped(client: Client, redis: Redis) -> None:
    """Only for a report, whose child runs nothing that others need, the order is to end it."""
    with redis.pubsub() as pubsub:
        pubsub.subscribe(PIDBOX)
        wait_for(pubsub.get_message, what="the subscription")

        client.report("daily").cancel()
        client.ingest("flights", ROW).cancel()

        orders = [_order(json.loads(wait_for(pubsub.get_message)["data"])) for _ in "ab"]
    assert [True, False] == [order["arguments"]["terminate"] for order in orders]


def _order(message: dict[str, Any]) -> dict[str, Any]:
    order: dict[str, Any] = json.loads(base64.b64decode(message["body"]))
    return order
