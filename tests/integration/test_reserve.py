"""How messages get from their queue into a worker, without a moment in which they are nowhere."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from kombu import Connection, Consumer, Queue
from kombu.transport import TRANSPORT_ALIASES
from redis import Redis

import worker.transport
from tests.waiting import wait_for
from worker.embedded import EmbeddedValkey
from worker.envelope import UNREADABLE

QUEUE = Queue("celeriac.ingest", exchange="", routing_key="celeriac.ingest")
BOOKS = "unacked"
#: Messages that Lua reads and Python does not.
POISON = [
    b'{"properties": {"delivery_tag": "t"}, "note": "a\tb"}',
    b'{"properties": {"delivery_tag": "u"}, "note": 0x10}',
    b'{"properties": {"delivery_tag": "v", "delivery_info": {"exchange": "", "routing_key": "q"}},'
    b' "headers": {"n": %b}}' % (b"9" * 5000),
]


@contextmanager
def connected(url: str, **options: Any) -> Iterator[Connection]:
    """Connect as a worker does."""
    assert "worker.reserve:Transport" == TRANSPORT_ALIASES["redis"], worker.transport
    with Connection(url, transport_options=options) as connection:
        yield connection


@contextmanager
def consuming(
    connection: Connection, prefetch: int = 0, *, no_ack: bool = False
) -> Iterator[list[Any]]:
    """Consume into a list, without acknowledging anything."""
    received: list[Any] = []
    consumer = Consumer(
        connection, [QUEUE], on_message=received.append, prefetch_count=prefetch, no_ack=no_ack
    )
    with consumer:
        yield received


def drain(connection: Connection, received: list[Any], messages: int) -> None:
    """Let the connection deliver until so many messages are there."""

    def enough() -> bool:
        with suppress(TimeoutError):
            connection.drain_events(timeout=0.1)
        return len(received) >= messages

    wait_for(enough, 10, f"{messages} messages")


def publish(connection: Connection, *bodies: str) -> None:
    """Push messages as any producer does."""
    producer = connection.Producer()
    for body in bodies:
        producer.publish({"number": body}, routing_key=QUEUE.name, exchange="", serializer="json")


@pytest.fixture
def server(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker as it is, beside kombu."""
    with valkey_server.client() as client:
        yield client


def places(server: Redis, prefix: str = "") -> tuple[int, int]:
    """Count what waits in the queue and what is in the books, at one instant."""
    with server.pipeline(transaction=True) as pipe:
        waiting, reserved = pipe.llen(prefix + QUEUE.name).hlen(prefix + BOOKS).execute()
    return waiting, reserved


def test_every_message_is_in_one_place_at_every_instant(broker_url: str, server: Redis) -> None:
    """Queue and books together hold all messages, whenever one looks."""
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(sum(places(server)))

    with connected(broker_url) as connection:
        publish(connection, *map(str, range(1000)))
        watcher = threading.Thread(target=watch)
        watcher.start()
        with consuming(connection) as received:
            drain(connection, received, 1000)
            done.set()
            watcher.join()

            assert {1000} == seen
            assert (0, 1000) == places(server)
            assert [{"number": str(n)} for n in range(1000)] == [one.payload for one in received]


def test_waiting_takes_nothing_out(broker_url: str, server: Redis) -> None:
    """An idle consumer that has no credit left when a message comes leaves it where it is."""
    with connected(broker_url) as connection, consuming(connection, prefetch=1) as received:
        publish(connection, "first")
        drain(connection, received, 1)
        publish(connection, "second")
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.6)

        assert 1 == len(received)
        assert (1, 1) == places(server)


def test_no_more_than_the_window_is_reserved(broker_url: str, server: Redis) -> None:
    """One script takes many messages, but never more than may be unacknowledged."""
    with connected(broker_url) as connection:
        publish(connection, *map(str, range(50)))
        with consuming(connection, prefetch=7) as received:
            drain(connection, received, 7)

            assert 7 == len(received)
            assert (43, 7) == places(server)


def test_closing_gives_back_what_was_not_acknowledged(broker_url: str, server: Redis) -> None:
    """The messages of a connection that ends are in the queue again, once each."""
    with connected(broker_url) as connection:
        publish(connection, *map(str, range(20)))
        with consuming(connection) as received:
            drain(connection, received, 20)
            for message in received[:5]:
                message.ack()

    assert (15, 0) == places(server)


def test_junk_is_delivered_in_a_wrapping(broker_url: str, server: Redis) -> None:
    """What kombu could not take apart arrives whole, marked, and is acknowledged like any other."""
    junk = [b"no json", b"[]", b'{"body": "?", "properties": 1}', b'{"a": "\xff"}', *POISON]
    server.lpush(QUEUE.name, *junk)

    with connected(broker_url) as connection, consuming(connection) as received:
        drain(connection, received, len(junk))
        marked = [UNREADABLE in message.headers for message in received]
        bodies = [message.body for message in received]
        for message in received:
            message.ack()

    assert [True] * len(junk) == marked
    assert junk == bodies
    assert (0, 0) == places(server)


@pytest.mark.parametrize("poison", POISON)
def test_poison_in_the_books_comes_back_wrapped(
    broker_url: str, server: Redis, poison: bytes
) -> None:
    """What a dead worker had booked and nobody can read holds up nothing that stands behind it."""
    with connected(broker_url, unacked_restore_throttle=1) as connection:
        publish(connection, "behind")
        good = server.rpop(QUEUE.name)
        for score, (tag, raw) in enumerate([("poison", poison), ("good", good)]):
            server.hset(BOOKS, tag, b'[%b,"","celeriac.ingest"]' % raw)
            server.zadd("unacked_index", {tag: score})

        with consuming(connection) as received:
            drain(connection, received, 2)

            assert {True, False} == {UNREADABLE in message.headers for message in received}
            assert {poison, b'{"number": "behind"}'} == {message.body for message in received}


def test_a_prefix_is_kept(broker_url: str, server: Redis) -> None:
    """Queue and books carry the key prefix, and messages come through."""
    with connected(broker_url, global_keyprefix="app:") as connection:
        publish(connection, "one")
        with consuming(connection) as received:
            drain(connection, received, 1)

            assert (0, 1) == places(server, "app:")
    assert (1, 0) == places(server, "app:")


def test_messages_without_ack_leave_no_trace(broker_url: str, server: Redis) -> None:
    """A consumer that never acknowledges, such as one of replies, writes nothing into the books."""
    with connected(broker_url) as connection, consuming(connection, no_ack=True) as received:
        publish(connection, "reply")
        drain(connection, received, 1)

    assert (0, 0) == places(server)


def test_priorities_and_second_queues_are_looked_at(broker_url: str, server: Redis) -> None:
    """A message of low priority is found by a consumer that waits on another list."""
    with connected(broker_url) as connection, consuming(connection) as received:
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.1)
        connection.Producer().publish(
            {"number": "low"}, routing_key=QUEUE.name, exchange="", priority=9
        )
        drain(connection, received, 1)

        assert {"number": "low"} == received[0].payload
