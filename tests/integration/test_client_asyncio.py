"""The asyncio client: the same methods, the same messages, and a loop that is never held up."""

import asyncio
import gc
import inspect
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from redis import Redis

from celeriac import (
    AsyncClient,
    AsyncGroup,
    AsyncOutbox,
    AsyncTicket,
    BadPayload,
    BrokerUnavailable,
    BulkUnfinished,
    Cancellation,
    Client,
    Group,
    JobFailed,
    NotTracked,
    Outbox,
    QueueFull,
    State,
    Ticket,
    WaitTimeout,
)
from tests.faults.standstill import stopped
from tests.waiting import least_seconds
from worker.embedded import EmbeddedValkey

QUEUE = "celeriac.ingest"
ROW = {"a": 1}
TIMEOUT = 0.5
#: A second attempt within one call would take it.
BELOW = 2 * TIMEOUT
LONGEST_DELAY_SECONDS = 0.02
ATTEMPTS = 20


@pytest.fixture
def redis(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker's database, seen from outside."""
    with valkey_server.client() as redis:
        yield redis


def run(act: Callable[[AsyncClient], Awaitable[Any]], url: str, **settings: Any) -> Any:
    """Run something with a client in a loop of its own."""

    async def in_loop() -> Any:
        async with AsyncClient(url, **settings) as client:
            return await act(client)

    return asyncio.run(in_loop())


def store(redis: Redis, job_id: str, status: str = "SUCCESS", result: Any = None) -> None:
    """Store a result and tell of it as workers do."""
    text = json.dumps({"status": status, "result": result})
    redis.set(f"celery-task-meta-{job_id}", text)
    redis.publish(f"celery-task-meta-{job_id}", text)


@pytest.mark.parametrize(
    ("kind", "other"),
    [(Client, AsyncClient), (Ticket, AsyncTicket), (Outbox, AsyncOutbox), (Group, AsyncGroup)],
)
def test_both_kinds_have_the_same_methods(kind: type, other: type) -> None:
    """What one takes the other takes, under the same names and defaults."""

    def methods(of: type) -> dict[str, list[tuple[str, Any]]]:
        return {
            name: [(one.name, one.default) for one in inspect.signature(found).parameters.values()]
            for name, found in inspect.getmembers(of, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    assert methods(kind) == methods(other)


def test_both_kinds_write_the_same_messages(broker_url: str, redis: Redis) -> None:
    """One job, sent by either, differs in nothing but its moment and names."""
    rows = [{"a": number} for number in range(500)]

    async def send(client: AsyncClient) -> AsyncTicket:
        return await client.ingest({"orders": rows, "lines": ROW}, id="a-job", priority=3)

    ticket = run(send, broker_url)
    with Client(broker_url) as client:
        client.ingest({"orders": rows, "lines": ROW}, id="a-job", priority=3)

    assert "AsyncTicket('a-job')" == repr(ticket)
    first, second = (json.loads(raw) for raw in redis.lrange(f"{QUEUE}\x06\x163", 0, -1))
    for message in (first, second):
        message["headers"].pop("enqueued_at")
        for name in ("reply_to", "delivery_tag"):
            message["properties"].pop(name)
    assert first == second


def test_a_ticket_is_awaited(broker_url: str, redis: Redis) -> None:
    """``await ticket`` returns the result when it comes, and raises what became of the job."""

    async def follow(client: AsyncClient) -> Any:
        good, bad = await client.ingest("flights", ROW), await client.ingest("flights", ROW)
        states = [await good.state(), await client.ticket("unknown").state()]
        waiting = asyncio.create_task(good.wait(60))
        await _subscribed(redis, good.id)
        store(redis, good.id, result={"inserted": 1})
        store(redis, bad.id, "FAILURE", {"exc_message": ["no such target"]})
        with pytest.raises(JobFailed, match="no such target"):
            await bad
        return states, await waiting, await good.result(), await good.progress()

    states, result, again, progress = run(follow, broker_url)

    assert [State.QUEUED, State.UNKNOWN] == states
    assert ({"inserted": 1}, {"inserted": 1}, None) == (result, again, progress)


def test_a_wait_ends(broker_url: str) -> None:
    """What does not come in time is told, as is what can never come."""

    async def wait(client: AsyncClient) -> None:
        ticket = await client.ingest("flights", ROW)
        with pytest.raises(WaitTimeout, match=r"no end within 0\.2 s"):
            await ticket.wait(0.2)
        with pytest.raises(NotTracked):
            await (await client.ingest("flights", ROW, track=False))

    run(wait, broker_url)


def test_rows_come_from_async_iterables_too(broker_url: str, redis: Redis) -> None:
    """Rows of either sort of iterable are cut into jobs; cancelling and counting work."""

    async def rows() -> AsyncIterator[Any]:
        for number in range(1_001):
            yield {"n": number}

    async def send(client: AsyncClient) -> Any:
        summaries = [
            await client.ingest_many("flights", rows(), rows_per_job=2),
            await client.ingest_many("flights", [ROW] * 3, rows_per_job=1, track=True),
        ]
        cancelled = await client.cancel(summaries[1].ids[0])
        with pytest.raises(QueueFull):
            await client.ingest("flights", ROW, max_depth=1)
        with pytest.raises(BadPayload, match="row 2 must be an object"):
            await client.ingest("flights", [ROW, 7])
        return summaries, cancelled, await client.depth()

    (many, few), cancelled, depth = run(send, broker_url)

    assert (501, 1_001, 3) == (many.jobs, many.rows, few.jobs)
    assert Cancellation.CANCELLED is cancelled
    assert 503 == depth.waiting == redis.llen(QUEUE)


def test_one_client_serves_one_loop_after_another(broker_url: str, redis: Redis) -> None:
    """A client made when a program is loaded works in each of its loops."""
    client = AsyncClient(broker_url)

    for _ in range(3):
        asyncio.run(_ingest_and_close(client))

    assert 3 == redis.llen(QUEUE)


def test_a_cancelled_call_spoils_no_connection(
    broker_url: str, valkey_server: EmbeddedValkey
) -> None:
    """A task that is cancelled while it waits for Redis leaves its answer to nobody else."""

    async def cancel(client: AsyncClient) -> list[State]:
        await client.ingest("flights", ROW)
        with stopped(valkey_server.pid), pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.depth(), 0.1)
        return [await client.ticket("unknown").state() for _ in range(3)]

    assert 3 * [State.UNKNOWN] == run(cancel, broker_url, timeout=60.0)


def test_an_idle_connection_that_was_cut_costs_nothing(broker_url: str, redis: Redis) -> None:
    """A broker that dropped idle connections is not noticed."""

    async def send(client: AsyncClient) -> None:
        await client.ingest("flights", ROW)
        redis.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.05)
        await client.ingest("flights", ROW)

    run(send, broker_url)

    assert 2 == redis.llen(QUEUE)


CALLS: dict[str, Callable[[AsyncClient], Awaitable[Any]]] = {
    "ingest": lambda client: client.ingest("flights", ROW),
    "ingest_many": lambda client: client.ingest_many("flights", [ROW]),
    "report": lambda client: client.report("daily"),
    "cancel": lambda client: client.cancel("a-job"),
    "depth": lambda client: client.depth(),
    "state": lambda client: client.ticket("a-job").state(),
    "wait": lambda client: client.ticket("a-job").wait(60),
}


@pytest.mark.parametrize("manner", ["refusing", "silent", "resetting", "slow"])
def test_a_bad_broker_ends_every_call(manner: str) -> None:
    """Refused, swallowed, reset or answered after ten seconds: the caller knows in time."""
    words: list[str] = []

    async def fail(call: Callable[[AsyncClient], Awaitable[Any]], url: str) -> None:
        async with AsyncClient(url, result_url=url, timeout=TIMEOUT) as client:
            with pytest.raises(BrokerUnavailable) as caught:
                await call(client)
        words.append(str(caught.value))

    async def fail_each(url: str) -> None:
        await asyncio.gather(*(fail(call, url) for call in CALLS.values()))

    with _broker(manner) as url:
        seconds = least_seconds(lambda: asyncio.run(fail_each(url)), BELOW)

    assert seconds < BELOW
    assert len(CALLS) <= len(words)
    assert "secret" not in " ".join(words)


def test_a_push_that_is_swallowed_is_in_doubt() -> None:
    """Whether a job can have arrived depends on how far the call came."""

    async def send(client: AsyncClient) -> None:
        await client.ingest_many("flights", [ROW], id="x", rows_per_job=1)

    found = []
    for manner in ("refusing", "swallowing"):
        with _broker(manner) as url, pytest.raises(BrokerUnavailable) as caught:
            run(send, url, timeout=TIMEOUT)
        found.append(caught.value)

    assert [False, True] == [error.may_have_arrived for error in found]
    assert isinstance(found[1], BulkUnfinished)
    assert (("x:1",), ()) == (found[1].unknown, found[1].unsent)


def test_the_loop_is_never_held_up(broker_url: str, redis: Redis) -> None:
    """A loop goes on ticking while 1,000 jobs are enqueued and 20 are awaited."""
    delays: list[float] = []

    async def tick() -> None:
        while True:
            before, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            late = time.perf_counter() - before - 0.001
            # On a machine that is busy with others a thread waits for its turn: not our delay.
            delays.append(min(late, time.thread_time() - used))

    async def work(client: AsyncClient) -> None:
        await client.ingest("flights", ROW)
        ticking = asyncio.create_task(tick())
        tickets = [await client.ingest("flights", ROW) for _ in range(20)]
        waiting = [asyncio.create_task(ticket.wait(60)) for ticket in tickets]
        await asyncio.gather(*(_ingest(client, 20) for _ in range(20)))
        await client.ingest_many("flights", [ROW] * 599, rows_per_job=1)
        await client.ingest("flights", [ROW | {"n": number} for number in range(10_000)])
        for ticket in tickets:
            await asyncio.to_thread(store, redis, ticket.id, result={"inserted": 1})
        await asyncio.gather(*waiting)
        ticking.cancel()

    # A host takes time that its guest counts as ours; a call that blocks would do so each time.
    for _ in range(ATTEMPTS):
        delays.clear()
        redis.delete(QUEUE)
        # What hundreds of tests left behind is not looked through in the middle of this one.
        gc.freeze()
        run(work, broker_url, timeout=60)
        gc.unfreeze()
        if max(delays) < LONGEST_DELAY_SECONDS:
            break

    assert 1_021 == redis.llen(QUEUE)
    assert max(delays) < LONGEST_DELAY_SECONDS


async def _ingest_and_close(client: AsyncClient) -> None:
    await client.ingest("flights", ROW)
    await client.close()


async def _ingest(client: AsyncClient, jobs: int) -> None:
    for _ in range(jobs):
        await client.ingest("flights", ROW)


async def _subscribed(redis: Redis, job_id: str) -> None:
    channel = f"celery-task-meta-{job_id}"
    while not dict(redis.pubsub_numsub(channel))[channel.encode()]:
        await asyncio.sleep(0.01)


class _broker:  # noqa: N801 - read as a function
    """A broker of a bad manner, as a context with its URL."""

    def __init__(self, manner: str) -> None:
        self._manner = manner
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        port = self._listener.getsockname()[1]
        if self._manner == "refusing":
            self._listener.close()
        threading.Thread(target=self._serve, daemon=True).start()
        return f"redis://user:secret@127.0.0.1:{port}/0"

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with suppress(OSError), closing(peer):
            if self._manner == "resetting":
                peer.recv(1)
                return
            while data := peer.recv(65_536):
                if self._manner == "slow":
                    self._ended.wait(10)
                if self._manner == "swallowing" and b"LPUSH" not in data:
                    # As much as lets a client in: no answer to what it came for.
                    peer.sendall(b"$-1\r\n" if b"GET" in data else b"+OK\r\n" * data.count(b"*"))
            self._ended.wait(10)
