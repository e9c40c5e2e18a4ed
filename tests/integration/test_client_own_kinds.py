"""Kinds of somebody's own, enqueued by the client: straight, in asyncio, in a transaction."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from redis import Redis

from celeriac import AsyncClient, BadPayload, Cancellation, Client, State, outbox
from tests.integration.shop import query
from worker.embedded import EmbeddedValkey

TASK = "shop.transfer"
ARGUMENTS = {"account": "open", "amount": 5}


@pytest.fixture
def redis(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker's database, seen from outside."""
    with valkey_server.client() as redis:
        yield redis


def sent(redis: Redis, queue: str) -> list[tuple[str, str, Any, str]]:
    """Return task, id, arguments and the queue that each message names."""
    found = []
    for raw in redis.lrange(queue, 0, -1)[::-1]:
        message = json.loads(raw)
        _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
        headers, place = message["headers"], message["properties"]["delivery_info"]["routing_key"]
        found.append((headers["task"], headers["id"], kwargs, place))
    return found


def test_a_job_of_an_own_kind_goes_to_its_queue(redis: Redis, broker_url: str) -> None:
    """That is called like the task, unless the caller says another."""

    async def send() -> None:
        async with AsyncClient(broker_url) as client:
            await client.enqueue(TASK, ARGUMENTS, id="c", queue="moves")

    with Client(broker_url) as client:
        ticket = client.enqueue(TASK, ARGUMENTS, id="a")
        client.enqueue(TASK, ARGUMENTS, id="b", queue="moves")
        assert State.QUEUED is ticket.state()
    asyncio.run(send())

    assert [(TASK, "a", ARGUMENTS, TASK)] == sent(redis, TASK)
    expected = [(TASK, id_, ARGUMENTS, "moves") for id_ in ("b", "c")]
    assert expected == sent(redis, "moves")


def test_a_waiting_job_of_an_own_kind_is_cancelled(redis: Redis, broker_url: str) -> None:
    """Its ticket knows in which queue to look."""
    with Client(broker_url) as client:
        ticket = client.enqueue(TASK, ARGUMENTS)

        assert Cancellation.CANCELLED is ticket.cancel()

    assert [] == sent(redis, TASK)


def test_a_job_of_an_own_kind_is_in_the_transaction(database: str) -> None:
    """The outbox holds task, arguments and options; the relay knows the queue."""
    with closing(psycopg2.connect(database)) as connection:
        outbox(connection).enqueue(TASK, ARGUMENTS, id="a", run_at=timedelta(hours=1), track=False)
        connection.commit()
        outbox(connection).enqueue(TASK, ARGUMENTS, id="b")
        connection.rollback()

    found = query(database, "SELECT id, task, kwargs, run_at > now(), options FROM celeriac.outbox")
    assert [("a", TASK, ARGUMENTS, True, {"track": False})] == found


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda client: client.enqueue("celeriac.ingest", {}), "task must be one of your own, got"),
        (lambda client: client.enqueue("", {}), "task must be text of 1 character or more"),
        (lambda client: client.enqueue(TASK, [1]), "arguments must be an object"),
        (lambda client: client.enqueue(TASK, {1: 2}), "arguments must have keys of text"),
        (lambda client: client.enqueue(TASK, {"n": object()}), "n cannot be written as JSON"),
        (lambda client: client.enqueue(TASK, {}, queue=""), "queue must be text"),
    ],
)
def test_what_is_no_job_of_an_own_kind_is_refused(act: Callable[[Client], Any], words: str) -> None:
    """Nothing was sent, and the words name the argument."""
    with Client("unix:///nowhere/redis.sock") as client, pytest.raises(BadPayload, match=words):
        act(client)
