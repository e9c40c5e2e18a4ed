"""Groups as callers make them: what is sent, when, and what is refused before that."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from celeriac import AsyncClient, BadPayload, BulkUnfinished, Client, Group, Ticket, outbox
from celeriac.contract import GROUP, MAX_GROUP_JOBS, MAX_THEN_BYTES
from celeriac.members import Members
from celeriac.options import Options
from postgres.transaction import transaction
from tests.integration.batches import child_on
from tests.integration.relays import RelayProcess, relay_on, turns
from tests.integration.shop import CATALOG, create_tables, query
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedValkey

NOWHERE = "unix:///nowhere/redis.sock"
QUEUE = "celeriac.ingest"
FILE_QUEUE = "celeriac.file"
Env = dict[str, str]

BLOCKED = """
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
EFFECTS = """
    SELECT (SELECT count(*) FROM shop.alpha), (SELECT count(*) FROM shop.beta),
        (SELECT count(*) FROM celeriac.outbox)
"""


@pytest.fixture
def redis(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker's database, seen from outside."""
    with valkey_server.client() as redis:
        yield redis


@pytest.fixture
def env(worker_env: Env) -> Env:
    """Settings of relay and workers on the shop's tables, of which a dead one is soon missed."""
    create_tables(worker_env["CELERIAC_DATABASE_URL"])
    return worker_env | {"CELERIAC_CATALOG": str(CATALOG), "CELERIAC_LEASE_SECONDS": "3"}


@pytest.fixture
def relay(env: Env) -> Iterator[RelayProcess]:
    """A relay at work."""
    relay = RelayProcess(env)
    relay.start()
    yield relay
    relay.kill()


def messages(redis: Redis, queue: str = QUEUE) -> list[tuple[str, Any, Any, bool]]:
    """Return id, arguments, group and wish for no result, in the order in which workers take."""
    found = []
    for raw in redis.lrange(queue, 0, -1)[::-1]:
        message = json.loads(raw)
        _, kwargs, embed = json.loads(base64.b64decode(message["body"]))
        headers = message["headers"]
        found.append((headers["id"], kwargs, embed[GROUP], headers["ignore_result"]))
    return found


def gather(group: Any, rows: int) -> Any:
    """Add so many jobs of a row each."""
    for number in range(rows):
        group.ingest("alpha", {"n": number})
    return group


def test_every_message_says_what_follows(redis: Redis, broker_url: str) -> None:
    """Nothing is sent before the size is known; then each job carries group and continuation."""
    with Client(broker_url) as client:
        group = client.group(id="day")
        ids = [group.ingest("alpha", [{"n": 1}]), group.ingest_file("alpha", "a.csv", id="mine")]
        assert (["day:1", "mine"], 0) == (ids, redis.dbsize())
        ticket = group.then_report("sold", {"since": 5})

    then = {"task": "celeriac.report", "kwargs": {"name": "sold", "params": {"since": 5}}}
    said = {"id": "day", "size": 2, "then": then}
    assert [("day:1", {"target": "alpha", "rows": [{"n": 1}]}, said, True)] == messages(redis)
    files = messages(redis, FILE_QUEUE)
    assert [("mine", {"target": "alpha", "url": "a.csv"}, said, True)] == files
    assert (ids, "day:then") == (group.ids, ticket.id)


def test_asyncio_sends_the_same(redis: Redis, broker_url: str) -> None:
    """Awaited, a group is the same messages."""

    async def send() -> None:
        async with AsyncClient(broker_url) as client:
            group = client.group(id="g", track=True)
            await group.ingest("alpha", {"n": 0})
            await group.report("sold", id="r")
            ticket = await group.then_ingest("beta", {"n": 1})
            assert "g:then" == ticket.id

    asyncio.run(send())
    first = messages(redis) + messages(redis, "celeriac.report")
    redis.flushdb()
    with Client(broker_url) as client:
        group = client.group(id="g", track=True)
        group.ingest("alpha", {"n": 0})
        group.report("sold", id="r")
        group.then_ingest("beta", {"n": 1})

    assert first == messages(redis) + messages(redis, "celeriac.report")
    assert [False, False] == [ignores for *_, ignores in first]


def test_a_large_group_goes_in_several_pushes(redis: Redis, broker_url: str) -> None:
    """All jobs arrive, in order, each saying the full size."""
    with Client(broker_url) as client:
        group = gather(client.group(), 600)
        group.then_ingest("beta", {"n": 1})

    found = messages(redis)
    assert group.ids == [id_ for id_, *_ in found]
    assert {(600, group.id)} == {(said["size"], said["id"]) for _, _, said, _ in found}


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda group: group.then_report("sold"), "a group must have 1 to 100000 jobs, got 0"),
        (lambda group: gather(group, 1).then_report("a" * 9000), "at most 8192 bytes of arguments"),
        (lambda group: [group.report("sold", id="x") for _ in range(2)], "got 'x' again"),
        (lambda group: group.report("sold", id="g:then"), "got 'g:then' again"),
        (lambda group: group.ingest("alpha", []), "rows must be 1 to"),
    ],
)
def test_what_no_worker_would_take_is_refused(
    act: Callable[[Group[Ticket]], Any], words: str
) -> None:
    """The words name the limit, and nobody was asked."""
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match=words):
        act(client.group(id="g"))


def test_a_group_has_bounds() -> None:
    """A group's id leaves room for what is made of it; no group grows for ever."""
    with Client(NOWHERE) as client, pytest.raises(BadPayload, match="1 to 195 characters, got 196"):
        client.group(id="x" * 196)
    assert (100_000, 8192) == (MAX_GROUP_JOBS, MAX_THEN_BYTES)
    members = Members(Options())
    assert members.id + ":then" == members.following


def test_a_group_that_did_not_arrive_is_sent_again(redis: Redis, broker_url: str) -> None:
    """The error tells what arrived; the same call again sends the same jobs."""
    with Client(broker_url) as client:
        group = gather(client.group(id="g"), 300)
        group.ingest_file("alpha", "a.csv")
        redis.set(FILE_QUEUE, "no list")
        with pytest.raises(BulkUnfinished, match="300 jobs of the group were sent") as caught:
            group.then_ingest("beta", {"n": 1})
        redis.delete(FILE_QUEUE)
        with pytest.raises(BadPayload, match="group g was sent before, with other jobs"):
            group.then_ingest("beta", {"n": 2})

        group.then_ingest("beta", {"n": 1})

    assert (300, ("g:301",), ()) == (
        caught.value.sent.jobs,
        caught.value.unsent,
        caught.value.unknown,
    )
    assert [f"g:{n}" for n in range(1, 301)] * 2 == [id_ for id_, *_ in messages(redis)]


def test_the_outbox_pushes_groups_alike(env: Env, redis: Redis) -> None:
    """What the relay writes counts in the same group as what the client writes."""
    database = env["CELERIAC_DATABASE_URL"]
    params = {"n": 1.5, "text": "ü"}
    with Client(env["CELERIAC_BROKER_URL"]) as client:
        direct = client.group(id="g")
        direct.ingest("alpha", [{"n": 1}], id="a")
        direct.ingest("alpha", [{"n": 1}], id="b")
        direct.then_report("sold", params)
    kept = messages(redis)
    redis.flushdb()
    with child_on(database) as child, transaction(child.pool) as cursor:
        relayed = outbox(cursor.connection).group(id="g")
        relayed.ingest("alpha", [{"n": 1}], id="a")
        relayed.ingest("alpha", [{"n": 1}], id="b")
        relayed.then_report("sold", params)

    with relay_on(env) as relay:
        turns(relay)

    assert kept == messages(redis)


def test_groups_end_to_end(
    env: Env, relay: RelayProcess, make_worker: Callable[..., Worker]
) -> None:
    """By Redis and by the outbox, two workers and one that was killed: one job follows each."""
    database = env["CELERIAC_DATABASE_URL"]
    doomed = make_worker(env).start()
    with Client(env["CELERIAC_BROKER_URL"]) as client, child_on(database) as child:
        with transaction(child.pool) as cursor:
            cursor.execute("LOCK TABLE shop.alpha IN SHARE MODE")
            direct = gather(client.group(id="g"), 20).then_ingest("beta", {"n": 7})
            gather(outbox(cursor.connection).group(id="h"), 20).then_ingest("beta", {"n": 8})
            wait_for(lambda: query(database, BLOCKED), what="a batch to wait")
            doomed.kill()
            for _ in range(2):
                make_worker(env).start(wait=False)
        results = [direct.wait(60), client.ticket("h:then").wait(60)]

    assert [{"rows": 1, "inserted": 1, "quarantined": 0}] * 2 == results
    assert [(40, 2, 0)] == query(database, EFFECTS)
    groups = query(database, "SELECT id, size, done FROM celeriac.job_group ORDER BY id")
    assert [("g", 20, 20), ("h", 20, 20)] == groups
