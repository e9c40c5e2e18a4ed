"""How messages get from their queue into a worker, without a moment in which they are nowhere."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import pytest
from kombu import Connection, Consumer, Queue
from kombu.transport import TRANSPORT_ALIASES
from redis import Redis

import worker.transport
from tests.faults.proxy import FaultProxy
from tests.waiting import wait_for
from worker.embedded import EmbeddedValkey
from worker.transport.envelope import UNREADABLE
from worker.transport.slabs import Settling, place_of

QUEUE = Queue("celeriac.ingest", exchange="", routing_key="celeriac.ingest")
#: Messages that Lua reads and Python does not.
POISON = [
    b'{"properties": {"delivery_tag": "t"}, "note": "a\tb"}',
    b'{"properties": {"delivery_tag": "u"}, "note": 0x10}',
    b'{"properties": {"delivery_tag": "v", "delivery_info": {"exchange": "", "routing_key": "q"}},'
    b' "headers": {"n": %b}}' % (b"9" * 5000),
]


@contextmanager
def connected(url: str, **options: Any) -> Iterator[Connection]:
    """Connect as a worker does; what is still reserved at the end is given back."""
    assert "worker.transport.channel:Transport" == TRANSPORT_ALIASES["redis"], worker.transport
    with Connection(url, transport_options=options) as connection:
        yield connection
        reservation = connection.default_channel.reservation
    reservation.release()


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

    wait_for(enough, what=f"{messages} messages")


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
    """Count what waits in the queue and what is in slabs, at one instant."""
    script = """
        local reserved = 0
        for _, slab in ipairs(redis.call('KEYS', ARGV[1] .. 'celeriac:slab:*')) do
            reserved = reserved + redis.call('LLEN', slab)
        end
        return {redis.call('LLEN', ARGV[1] .. KEYS[1]), reserved}
    """
    waiting, reserved = cast(list[int], server.eval(script, 1, QUEUE.name, prefix))
    return waiting, reserved


def test_every_message_is_in_one_place_at_every_instant(broker_url: str, server: Redis) -> None:
    """Queue and slabs together hold all messages, whenever one looks."""
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(sum(places(server)))

    with connected(broker_url) as connection:
        publish(connection, *map(str, range(3000)))
        watcher = threading.Thread(target=watch)
        watcher.start()
        with consuming(connection) as received:
            drain(connection, received, 3000)
            done.set()
            watcher.join()

            assert {3000} == seen
            assert (0, 3000) == places(server)
            assert [{"number": str(n)} for n in range(3000)] == [one.payload for one in received]


def test_an_idle_consumer_takes_one_message_under_its_lease(broker_url: str, server: Redis) -> None:
    """The message that ends the waiting is reserved at once, and only that one."""
    with connected(broker_url) as connection, consuming(connection, prefetch=1) as received:
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.1)
        publish(connection, "first", "second")
        drain(connection, received, 1)
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


def test_held_bytes_close_the_window_until_messages_are_settled(
    broker_url: str, server: Redis
) -> None:
    """Whoever holds large messages takes no more of them before some are done."""
    with connected(broker_url, prefetch_bytes=1_000_000) as connection:
        publish(connection, *["x" * 400_000 for _ in range(8)])
        with consuming(connection, prefetch=100) as received:
            drain(connection, received, 2)
            with pytest.raises(TimeoutError):
                connection.drain_events(timeout=0.6)
            assert (6, 2) == places(server)
            assert connection.channel().qos.can_consume(), "remote control would not be heard"

            for message in list(received):
                message.ack()
            connection.default_channel.reservation.flush()
            drain(connection, received, 4)

            assert (4, 2) == places(server)


def test_a_slab_is_bounded_by_its_bytes(broker_url: str, server: Redis) -> None:
    """Of large messages a slab takes no more than its budget, and one message too many at most."""
    with connected(broker_url) as connection:
        publish(connection, *["x" * 400_000 for _ in range(8)])
        with consuming(connection) as received:
            drain(connection, received, 1)

            slabs = [server.llen(key) for key in server.scan_iter("celeriac:slab:*")]
            # The text is base64 on the wire: two of these are more than a mebibyte.
            assert {2} == set(slabs)


def test_slabs_hold_what_was_delivered_whatever_its_size(broker_url: str, server: Redis) -> None:
    """Large messages among small ones: all are delivered in order, and a place names its own."""
    bodies = [
        f"{number} " + "x" * (200_000 if number % 40 == 7 else number) for number in range(150)
    ]
    with connected(broker_url) as connection:
        publish(connection, *bodies)
        with consuming(connection) as received:
            drain(connection, received, len(bodies))

            assert bodies == [message.payload["number"] for message in received]
            assert (0, len(bodies)) == places(server)
            reservation = connection.default_channel.reservation
            for message in received:
                number, position = place_of(message.delivery_tag)
                kept = json.loads(reservation.read_slab(number)[position])
                body = json.loads(base64.b64decode(kept["body"]))
                assert message.payload == body


def test_acknowledged_messages_leave_their_slab(broker_url: str, server: Redis) -> None:
    """Redis keeps what is not settled; a slab whose messages are all settled is gone."""
    with connected(broker_url) as connection:
        publish(connection, *map(str, range(100)))
        with consuming(connection) as received:
            drain(connection, received, 100)
            reservation = connection.default_channel.reservation

            for message in received[:98]:
                message.ack()
            assert reservation.flush()
            left = places(server)
            for message in received[98:]:
                message.ack()
            assert reservation.flush()

            assert (0, 2) == left
            assert (0, 0) == places(server)


def test_releasing_gives_back_what_was_not_acknowledged(broker_url: str, server: Redis) -> None:
    """The messages of a worker that ends are in the queue again, once each, in their order."""
    with connected(broker_url) as connection:
        publish(connection, *map(str, range(20)))
        with consuming(connection) as received:
            drain(connection, received, 20)
            for message in received[:5]:
                message.ack()

    assert (15, 0) == places(server)
    with connected(broker_url) as connection, consuming(connection) as received:
        drain(connection, received, 15)
        assert [{"number": str(n)} for n in range(5, 20)] == [one.payload for one in received]


def test_a_rejected_message_is_in_its_queue_again(broker_url: str, server: Redis) -> None:
    """Rejected to be delivered again, a message is the next one."""
    with connected(broker_url) as connection:
        publish(connection, "one", "two", "three")
        with consuming(connection, prefetch=3) as received:
            drain(connection, received, 3)
            received[1].reject(requeue=True)
            assert connection.default_channel.reservation.flush()
            drain(connection, received, 4)

            assert {"number": "two"} == received[3].payload
            assert (0, 3) == places(server)


def test_a_lost_answer_gives_its_messages_back(broker_url: str, server: Redis) -> None:
    """Messages that were on their way when the connection broke are delivered over the next one."""
    with connected(broker_url) as connection, consuming(connection):
        reservation = connection.default_channel.reservation
        publish(connection, "one", "two")
        slab = reservation.slabs.next_number()
        server.hset(reservation.keys.slabs, str(slab), QUEUE.name)
        for _ in range(2):
            server.lmove(QUEUE.name, reservation.keys.slab(slab), "RIGHT", "LEFT")

        with connection.clone() as next_connection, consuming(next_connection) as received:
            drain(next_connection, received, 2)
            assert [{"number": "one"}, {"number": "two"}] == [one.payload for one in received]


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


def test_junk_that_looks_like_several_messages_is_one(broker_url: str, server: Redis) -> None:
    """Messages are told apart by Redis, not by the commas in them."""
    with connected(broker_url) as connection:
        server.lpush(QUEUE.name, b"{}, {}")
        publish(connection, "good")
        with consuming(connection) as received:
            drain(connection, received, 2)

            assert [True, False] == [UNREADABLE in message.headers for message in received]
            assert b"{}, {}" == received[0].body


def test_a_prefix_is_kept(broker_url: str, server: Redis) -> None:
    """Queue and slabs carry the key prefix, and messages come through."""
    with connected(broker_url, global_keyprefix="app:") as connection:
        publish(connection, "one", "two")
        with consuming(connection) as received:
            drain(connection, received, 2)

            assert (0, 2) == places(server, "app:")
    assert (2, 0) == places(server, "app:")
    assert [] == [key for key in server.scan_iter() if not key.startswith((b"app:", b"_kombu"))]


def test_messages_without_ack_leave_no_trace(broker_url: str, server: Redis) -> None:
    """A consumer that never acknowledges, such as one of replies, reserves nothing."""
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


def test_what_was_waited_for_comes_with_its_company(broker_url: str, server: Redis) -> None:
    """The message that ends the waiting and those behind it are one slab, in their order."""
    with connected(broker_url) as connection, consuming(connection) as received:
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.1)
        publish(connection, *map(str, range(50)))
        drain(connection, received, 50)

        assert [{"number": str(n)} for n in range(50)] == [one.payload for one in received]
        assert {"1:0", "1:49"} <= {message.delivery_tag.replace("2:", "1:") for message in received}
        assert (0, 50) == places(server)


def test_a_connection_that_breaks_in_the_waiting_loses_nothing(
    broker_url: str, server: Redis
) -> None:
    """A message that was moved for a broken connection comes over the next one."""
    with connected(broker_url) as connection, consuming(connection) as received:
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.1)
        reservation = connection.default_channel.reservation
        publish(connection, "moved")
        server.hset(reservation.keys.slabs, "0", QUEUE.name)
        server.lmove(QUEUE.name, reservation.keys.slab(0), "RIGHT", "LEFT")
        with suppress(OSError, *connection.connection_errors):
            for client in server.client_list(_type="normal"):
                if client["cmd"] == "blmove":
                    server.client_kill_filter(_id=client["id"])
            connection.drain_events(timeout=0.5)

        with connection.clone() as next_connection, consuming(next_connection) as later:
            publish(next_connection, "next")
            drain(next_connection, later, 2 - len(received))

            numbers = [one.payload["number"] for one in [*received, *later]]
            assert ["moved", "next"] == numbers


def test_what_redis_was_not_told_is_told_before_anything_else(
    valkey_server: EmbeddedValkey, broker_url: str, server: Redis
) -> None:
    """A message given back while Redis was away is not lost when its slab is settled after that."""
    with (
        FaultProxy(str(valkey_server.socket)) as proxy,
        connected(proxy.redis_url(0)) as connection,
        consuming(connection) as received,
    ):
        reservation = connection.default_channel.reservation
        publish(connection, "back", "over")
        drain(connection, received, 2)
        places_of = [place_of(message.delivery_tag) for message in received]
        proxy.refuse()
        proxy.cut()

        reservation.give_back(places_of[:1])
        told = reservation.flush()
        reservation.done_with(places_of[1:])
        proxy.heal()
        wait_for(reservation.flush)

        assert not told
        assert (1, 0) == places(server)
        kept = json.loads(cast(bytes, server.lindex(QUEUE.name, -1)))
        assert b'{"number": "back"}' == base64.b64decode(kept["body"])


def test_a_settling_is_carried_out_once(broker_url: str, server: Redis) -> None:
    """Told twice because its answer was lost, a settling moves nothing a second time."""
    with connected(broker_url) as connection, consuming(connection) as received:
        reservation = connection.default_channel.reservation
        publish(connection, *map(str, range(4)))
        drain(connection, received, 4)
        (slab,) = reservation.slabs.numbers()
        reservation.give_back([place_of(received[0].delivery_tag)])
        assert reservation.flush()
        after_once = places(server)

        reservation._tell(Settling(changed=[(slab, 3, [0, 1], [2])]))

        assert (1, 3) == after_once
        assert (1, 3) == places(server)


def test_an_owner_whose_jobs_are_with_others_reserves_nothing(
    broker_url: str, server: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """It says once that its lease ran out, whoever heard of it first, and takes jobs afterwards."""
    with connected(broker_url) as connection:
        reservation = connection.default_channel.reservation
        with consuming(connection) as received:
            server.set(reservation.keys.recovered, "done")
            publish(connection, "1")
            wait_for(lambda: turn(connection) or reservation.lease.was_recovered)
            reservation.lease.note_recovery()
            reserved_before = len(received)

            reservation.start_over()
            reservation.lease.was_recovered = False
            drain(connection, received, 1)

    assert 0 == reserved_before
    assert 1 == caplog.text.count("the lease ran out and others took the jobs")


def turn(connection: Connection) -> None:
    """Let the loop turn for a moment."""
    with suppress(TimeoutError):
        connection.drain_events(timeout=0.05)
