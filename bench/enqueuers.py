"""Enqueue one-row jobs in one of the ways there are; print how many seconds it took, and its end.

``python -m bench.enqueuers WAY BROKER_URL DATABASE_URL COUNT``

The ways: ``floor`` pushes ready messages, pipelined, which is what the network and
Redis take; ``send_task`` and ``kombu_batch`` are stock Celery's; ``one``, ``many``
and ``async_many`` the client's; ``outbox`` its SQL function, 100 in a transaction.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2
from celery import Celery
from kombu import Connection
from redis import Redis

from bench.row import row
from celeriac import AsyncClient, Client, outbox

QUEUE = "celeriac.ingest"
#: As the client pipelines.
PUSHED_AT_ONCE = 500
JOBS_A_TRANSACTION = 100


def floor(broker_url: str, _: str, count: int) -> float:
    """Push messages as large as the client's, all written before."""
    with Redis.from_url(broker_url) as redis:
        with Client(broker_url) as client:
            client.ingest("bench", row(1), track=False)
        example: Any = redis.lindex(QUEUE, 0)
        redis.delete(QUEUE)
        messages = [example] * count
        began = time.monotonic()
        for first in range(0, count, PUSHED_AT_ONCE):
            redis.lpush(QUEUE, *messages[first : first + PUSHED_AT_ONCE])
        return time.monotonic() - began


def send_task(broker_url: str, _: str, count: int) -> float:
    """Enqueue as any stock application does."""
    app = Celery(broker=_kombu_url(broker_url))
    _send(app, 0)
    began = time.monotonic()
    for number in range(1, count + 1):
        _send(app, number)
    return time.monotonic() - began


def kombu_batch(broker_url: str, _: str, count: int) -> float:
    """Enqueue with kombu's own batches of messages."""
    app = Celery(broker=_kombu_url(broker_url))
    with Connection(_kombu_url(broker_url)) as connection:
        producer = connection.Producer()
        began = time.monotonic()
        for first in range(1, count + 1, PUSHED_AT_ONCE):
            with producer.batch(PUSHED_AT_ONCE):
                for number in range(first, min(first + PUSHED_AT_ONCE, count + 1)):
                    _send(app, number, producer=producer)
        return time.monotonic() - began


def one(broker_url: str, _: str, count: int) -> float:
    """Enqueue one by one, each known to be there when the call returns."""
    with Client(broker_url) as client:
        client.ingest("bench", row(0), track=False)
        began = time.monotonic()
        for number in range(1, count + 1):
            client.ingest("bench", row(number), track=False)
        return time.monotonic() - began


def many(broker_url: str, _: str, count: int) -> float:
    """Enqueue an iterable of rows, one a job."""
    with Client(broker_url) as client:
        began = time.monotonic()
        client.ingest_many("bench", _rows(count), rows_per_job=1)
        return time.monotonic() - began


def async_many(broker_url: str, _: str, count: int) -> float:
    """Do the same in an event loop."""

    async def enqueue() -> float:
        async with AsyncClient(broker_url) as client:
            began = time.monotonic()
            await client.ingest_many("bench", _rows(count), rows_per_job=1)
            return time.monotonic() - began

    return asyncio.run(enqueue())


def through_outbox(_: str, database_url: str, count: int) -> float:
    """Enqueue by SQL, a hundred jobs in each transaction of the application's."""
    with closing(psycopg2.connect(database_url)) as connection:
        began = time.monotonic()
        for first in range(1, count + 1, JOBS_A_TRANSACTION):
            numbers = range(first, min(first + JOBS_A_TRANSACTION, count + 1))
            outbox(connection).ingest_many("bench", map(row, numbers), rows_per_job=1)
            connection.commit()
        return time.monotonic() - began


WAYS: dict[str, Callable[[str, str, int], float]] = {
    "floor": floor,
    "send_task": send_task,
    "kombu_batch": kombu_batch,
    "one": one,
    "many": many,
    "async_many": async_many,
    "outbox": through_outbox,
}


def _rows(count: int) -> Iterator[dict[str, Any]]:
    return map(row, range(1, count + 1))


def _send(app: Celery, number: int, **options: Any) -> None:
    app.send_task(
        QUEUE,
        kwargs={"target": "bench", "rows": [row(number)]},
        queue=QUEUE,
        task_id=str(uuid4()),
        ignore_result=True,
        **options,
    )


def _kombu_url(url: str) -> str:
    path, _, database = url.removeprefix("unix://").partition("?db=")
    return f"redis+socket://{path}?virtual_host={database or 0}"


if __name__ == "__main__":
    print(WAYS[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4])), time.monotonic())
