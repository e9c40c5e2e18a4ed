"""Rows without a number that is known before, as jobs of a group."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import psycopg2
import pytest
from redis import Redis

from celeriac import AsyncClient, BadPayload, Client, outbox
from celeriac.contract import GROUP
from celeriac.in_transaction import AsyncOutbox
from tests.integration.shop import query
from worker.embedded import EmbeddedValkey

NOWHERE = "unix:///nowhere/redis.sock"


@pytest.fixture
def redis(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker's database, seen from outside."""
    with valkey_server.client() as redis:
        yield redis


def sent(redis: Redis) -> list[tuple[str, list[int], int]]:
    """Return id, numbers of the rows, and size of the group, in the order in which workers take."""
    found = []
    for raw in redis.lrange("celeriac.ingest", 0, -1)[::-1]:
        message = json.loads(raw)
        _, kwargs, embed = json.loads(base64.b64decode(message["body"]))
        numbers = [row["n"] for row in kwargs["rows"]]
        found.append((message["headers"]["id"], numbers, embed[GROUP]["size"]))
    return found


async def numbers(count: int) -> AsyncIterator[tuple[int]]:
    for number in range(count):
        yield (number,)


def test_rows_of_a_group_are_cut_into_jobs(redis: Redis, broker_url: str) -> None:
    """They are numbered with the group's other jobs, and all of them say its size."""
    with Client(broker_url) as client:
        group = client.group(id="g")
        group.ingest("alpha", {"n": -1})
        ids = group.ingest_many("alpha", ({"n": n} for n in range(5)), rows_per_job=2)
        group.ingest("alpha", {"n": 5})
        assert 0 == redis.dbsize()
        group.then_report("sold")

    assert ["g:2", "g:3", "g:4"] == ids
    rows = [[-1], [0, 1], [2, 3], [4], [5]]
    assert [(f"g:{at}", row, 5) for at, row in enumerate(rows, 1)] == sent(redis)


def test_rows_of_a_group_come_from_async_iterables_too(redis: Redis, broker_url: str) -> None:
    """In asyncio rows of either sort of iterable are taken."""

    async def send() -> None:
        async with AsyncClient(broker_url) as client:
            group = client.group(id="g")
            await group.ingest_many("alpha", numbers(3), columns=["n"], rows_per_job=2)
            await group.ingest_many("alpha", [{"n": 3}])
            await group.then_report("sold")

    asyncio.run(send())

    assert [("g:1", [0, 1], 3), ("g:2", [2], 3), ("g:3", [3], 3)] == sent(redis)


def test_rows_of_a_group_in_the_outbox(database: str) -> None:
    """Thousands of rows are rows of the transaction, sent by statements of many jobs."""
    with closing(psycopg2.connect(database)) as connection:
        group = outbox(connection).group(id="g")
        group.ingest_many("alpha", ({"n": n} for n in range(1_001)), rows_per_job=2)
        group.then_ingest("beta", {"n": 1})
        connection.commit()

    found = query(database, "SELECT count(*), min(options #>> '{group,size}') FROM celeriac.outbox")
    assert [(501, "501")] == found


def test_rows_of_a_group_in_an_asynchronous_outbox() -> None:
    """What is gathered for a connection that is awaited may come from async iterables."""
    group = AsyncOutbox(None).group(id="g")

    ids = asyncio.run(group.ingest_many("alpha", numbers(3), columns=["n"], rows_per_job=1))

    assert ["g:1", "g:2", "g:3"] == ids


def test_rows_are_added_to_a_group_all_or_none() -> None:
    """After a refusal the group is as it was before."""
    with Client(NOWHERE) as client:
        group = client.group(id="g")
        group.ingest("alpha", {"n": 0})

        with pytest.raises(BadPayload, match="row 2, column 'n' cannot be written"):
            group.ingest_many("alpha", [{"n": 1}, {"n": object()}], rows_per_job=1)

    assert ["g:1"] == group.ids
