"""Many jobs at once, bounds on queues, options on the wire: against a real Valkey."""

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from celery import Celery
from redis import Redis

from celeriac import BadPayload, BulkUnfinished, Client, QueueFull, State
from celeriac.contract import PROGRESS_STATUS
from tests.faults.standstill import stopped
from tests.waiting import least_seconds
from worker.embedded import EmbeddedValkey

QUEUE = "celeriac.ingest"


@pytest.fixture
def client(broker_url: str) -> Iterator[Client]:
    """A client on the test's broker, which keeps the results too."""
    with Client(broker_url) as client:
        yield client


@pytest.fixture
def redis(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker's database, seen from outside."""
    with valkey_server.client() as redis:
        yield redis


def rows_of(redis: Redis, key: str = QUEUE) -> list[Any]:
    """Return the rows of all jobs of a list, in the order in which workers take them."""
    raws = redis.lrange(key, 0, -1)[::-1]
    bodies = [json.loads(base64.b64decode(json.loads(raw)["body"])) for raw in raws]
    return [row for _, kwargs, _ in bodies for row in kwargs["rows"]]


def test_many_rows_arrive_in_order(client: Client, redis: Redis) -> None:
    """A generator of rows becomes jobs under new ids, each row once, the first first."""
    summary = client.ingest_many("flights", ({"n": n} for n in range(1_001)), rows_per_job=2)

    assert (501, 1_001, []) == (summary.jobs, summary.rows, summary.ids)
    assert [{"n": n} for n in range(1_001)] == rows_of(redis)
    ids = {json.loads(raw)["headers"]["id"] for raw in redis.lrange(QUEUE, 0, -1)}
    assert 501 == len(ids)


def test_frames_are_ingested_in_bulk(client: Client, redis: Redis) -> None:
    """A frame, and the chunks of one, are rows."""
    frame = pd.DataFrame({"n": range(5)})

    client.ingest_many("flights", frame, rows_per_job=2)
    client.ingest_many("flights", iter([frame[:3], frame[3:]]), rows_per_job=2)

    assert 2 * [{"n": n} for n in range(5)] == rows_of(redis)


def test_a_named_bulk_numbers_its_jobs(client: Client, redis: Redis) -> None:
    """With an id the same call sends the same jobs again; tracked, it tells their ids."""
    rows = [{"n": n} for n in range(3)]

    first, second = (
        client.ingest_many("flights", rows, rows_per_job=2, id="import", track=True)
        for _ in range(2)
    )

    assert ["import:1", "import:2"] == first.ids == second.ids
    headers = [json.loads(raw)["headers"] for raw in redis.lrange(QUEUE, 0, -1)]
    assert [False] * 4 == [header["ignore_result"] for header in headers]


def test_a_bulk_that_redis_refuses_sent_nothing(client: Client, redis: Redis) -> None:
    """An error that Redis answers leaves no doubt."""
    redis.set(QUEUE, "no list")

    with pytest.raises(BulkUnfinished, match="WRONGTYPE") as caught:
        client.ingest_many("flights", [{"a": 1}] * 3, rows_per_job=1, id="x")

    assert (0, (), ("x:1", "x:2", "x:3")) == (
        caught.value.sent.jobs,
        caught.value.unknown,
        caught.value.unsent,
    )


def test_a_full_queue_refuses(client: Client, redis: Redis) -> None:
    """At most max_depth jobs wait, of all priorities together, and the refused one is named."""
    client.ingest("flights", {"a": 1}, max_depth=2)
    client.ingest("flights", {"a": 1}, max_depth=2, priority=9)

    with pytest.raises(QueueFull, match=r"full, 2 jobs wait and max_depth is 2.*job x") as caught:
        client.ingest("flights", {"a": 1}, id="x", max_depth=2)

    assert "x" == caught.value.job_id
    assert 2 == client.depth().waiting


def test_a_full_queue_is_waited_for(client: Client, redis: Redis) -> None:
    """With when_full="wait" a bulk goes on as jobs are taken, and the bound holds all the time."""
    summaries: list[Any] = []
    depths: list[int] = []
    rows = [{"n": n} for n in range(400)]
    thread = threading.Thread(
        target=lambda: summaries.append(
            client.ingest_many(
                "flights", rows, rows_per_job=1, max_depth=100, when_full="wait", deadline=20
            )
        )
    )
    thread.start()

    taken: list[bytes] = []
    while thread.is_alive():
        depths.append(redis.llen(QUEUE))
        taken += redis.rpop(QUEUE, 40) or []
    thread.join(60)
    taken += redis.rpop(QUEUE, 400) or []

    assert 400 == summaries[0].jobs == len(taken)
    assert max(depths) <= 100


def test_waiting_for_room_ends(client: Client) -> None:
    """A queue that stays full is told at the deadline, not later."""
    client.ingest("flights", {"a": 1})

    def wait_in_vain() -> None:
        with pytest.raises(QueueFull):
            client.ingest("flights", {"a": 1}, max_depth=1, when_full="wait", deadline=2)

    assert 1.9 < least_seconds(wait_in_vain, 4.0) < 4.0


def test_depth_knows_the_oldest(client: Client, redis: Redis) -> None:
    """Jobs of all priorities count; the age is that of the oldest which says its time."""
    empty = client.depth()
    client.ingest("flights", {"a": 1}, priority=9)
    long_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    redis.lset(
        f"{QUEUE}\x06\x169",
        0,
        redis.lindex(f"{QUEUE}\x06\x169", 0).replace(  # type: ignore[union-attr]  # it is there
            datetime.now(UTC).strftime('"enqueued_at": "%Y').encode(),
            f'"enqueued_at": "{long_ago}", "was": "{datetime.now(UTC).year}'.encode(),
        ),
    )
    client.ingest("flights", {"a": 1})

    depth = client.depth()

    assert (0, None) == (empty.waiting, empty.oldest_seconds)
    assert (QUEUE, 2) == (depth.queue, depth.waiting)
    assert 3_590 < (depth.oldest_seconds or 0) < 3_700


def test_stock_messages_have_no_age(client: Client, broker_url: str) -> None:
    """What says no time is counted, and no age is made up for it."""
    with Celery("stock", broker=broker_url) as app:
        app.send_task("celeriac.ingest", queue=QUEUE, ignore_result=True)

    depth = client.depth()

    assert (1, None) == (depth.waiting, depth.oldest_seconds)


def test_options_are_those_of_stock_celery(client: Client, broker_url: str, redis: Redis) -> None:
    """ETA, expiry and priority lie in the fields, and the message in the list, of send_task."""
    at, until = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
    with Celery("stock", broker=broker_url) as app:
        app.send_task(
            "celeriac.report",
            kwargs={"name": "daily", "fresh_for": 60},
            queue="celeriac.report",
            task_id="a-job",
            eta=at,
            expires=until,
            priority=5,
            ignore_result=True,
        )

    client.report(
        "daily", fresh_for=60, id="a-job", run_at=at, expires=until, priority=5, track=False
    )

    ours, stocks = (json.loads(raw) for raw in redis.lrange("celeriac.report\x06\x163", 0, -1))
    for message in (ours, stocks):
        for name in ("reply_to", "delivery_tag"):
            message["properties"].pop(name)
        message["headers"].pop("kwargsrepr")
    ours["headers"].pop("enqueued_at")
    left = [int(message["properties"].pop("expiration")) for message in (stocks, ours)]
    assert left == pytest.approx(left[::-1], abs=60_000)
    assert stocks == ours


def test_a_file_job_goes_to_its_queue(client: Client, redis: Redis) -> None:
    """Its arguments are the contract's; Flower sees the file's name, never what stands before."""
    client.ingest_file("flights", "s3://key:secret@bucket/a/b.csv", "csv", {"header": True})

    message = json.loads(redis.lindex("celeriac.file", 0) or "")
    _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert "flights · b.csv" == message["headers"]["kwargsrepr"]
    assert {
        "target": "flights",
        "url": "s3://key:secret@bucket/a/b.csv",
        "format": "csv",
        "options": {"header": True},
    } == kwargs


def test_progress_is_told(client: Client, redis: Redis) -> None:
    """A job under way is working, says how far it is, and has no result yet."""
    ticket = client.ingest_file("flights", "file:///inbox/a.csv")
    before = ticket.progress()
    stored = {"status": PROGRESS_STATUS, "result": {"rows": 7}}
    redis.set(f"celery-task-meta-{ticket.id}", json.dumps(stored))

    assert None is before
    assert (State.WORKING, {"rows": 7}, None) == (
        ticket.state(),
        ticket.progress(),
        ticket.result(),
    )


def test_one_id_from_many_threads_is_one_payload(client: Client, redis: Redis) -> None:
    """Twenty threads that send the same job send the same text, which the ledger knows as one."""
    barrier = threading.Barrier(20)

    def send() -> None:
        barrier.wait(60)
        client.ingest("flights", {"a": 1, "b": [1.5, "x"]}, id="a-job")

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    messages = [json.loads(raw) for raw in redis.lrange(QUEUE, 0, -1)]
    assert (20, {"a-job"}) == (len(messages), {one["headers"]["id"] for one in messages})
    assert 1 == len({one["body"] for one in messages})


def test_a_fork_has_connections_of_its_own(client: Client, redis: Redis) -> None:
    """Parent and children send at once after a fork, and nobody reads another's answers."""
    client.ingest("flights", {"a": 0}, id="before")

    children = [
        _fork(lambda: [client.ingest("flights", {"a": n}) for n in range(50)]) for _ in "ab"
    ]
    for number in range(50):
        client.ingest("flights", {"a": number})
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

    headers = [json.loads(raw)["headers"] for raw in redis.lrange(QUEUE, 0, -1)]
    assert ([0, 0], 151) == (codes, len({header["id"] for header in headers}))
    assert 3 == len({header["origin"] for header in headers})


def test_a_frozen_broker_leaves_a_bulk_in_doubt(
    client: Client, valkey_server: EmbeddedValkey, redis: Redis
) -> None:
    """While Redis stands still the caller is told what is certain and what in doubt."""
    rows = ({"n": n} for n in range(10_000))

    with ExitStack() as frozen:

        def frozen_rows() -> Iterator[Any]:
            for row in rows:
                if row["n"] == 300:
                    frozen.enter_context(stopped(valkey_server.pid))
                yield row

        words = f"tried LPUSH {QUEUE} for at most 2 s"
        with pytest.raises(BulkUnfinished, match=words) as caught:
            client.ingest_many("flights", frozen_rows(), rows_per_job=1, id="x", deadline=2)

    assert (250, "x:251") == (caught.value.sent.jobs, caught.value.unknown[0])
    assert redis.llen(QUEUE) in (250, 500)


def test_a_bad_row_ends_a_bulk(client: Client, redis: Redis) -> None:
    """What was pushed before stays, and is counted in the error."""
    rows = [{"n": n} for n in range(300)] + [{"n": object()}]

    with pytest.raises(BadPayload, match="row 301, column 'n' cannot be written") as caught:
        client.ingest_many("flights", rows, rows_per_job=1)

    assert 250 == caught.value.sent.jobs == redis.llen(QUEUE)


def _fork(act: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        act()
        code = 0
    finally:
        os._exit(code)
