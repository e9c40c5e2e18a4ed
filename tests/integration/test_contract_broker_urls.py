"""The broker's other doors: TLS and Sentinel, each opened by a real one."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kombu import Connection, Consumer, Queue

from tests.faults.entries import Entries
from tests.faults.redis_state import places
from tests.faults.sentinel import MASTER, Sentinel
from tests.faults.storm import Storm
from tests.faults.tls_front import TlsFront, can_make_certificates
from tests.waiting import wait_for
from worker.embedded import EmbeddedValkey
from worker.transport.channel import SentinelTransport

QUEUE = Queue("celeriac.ingest", exchange="", routing_key="celeriac.ingest")


@pytest.fixture
def sentinel(valkey_server: EmbeddedValkey, broker_url: str, tmp_path: Path) -> Iterator[Sentinel]:
    """A Sentinel that watches the broker."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Sentinel(valkey_server, port, tmp_path) as sentinel:
        yield sentinel


@pytest.mark.skipif(not can_make_certificates(), reason="openssl is not installed")
def test_a_worker_behind_tls(
    worker_env: dict[str, str], valkey_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """``rediss://``: jobs are reserved, committed and settled over encrypted connections alone."""
    with TlsFront(str(valkey_server.socket), tmp_path) as tls, Storm(tmp_path, worker_env) as storm:
        storm.crew.env |= {
            "CELERIAC_BROKER_URL": tls.url(0),
            "CELERIAC_RESULT_URL": tls.url(1),
        }
        storm.crew.start(1)

        sent = Entries(storm, tmp_path / "entries.jsonl").send(20)

        assert {1} == {one.get(timeout=60)["inserted"] for one in sent}
        storm.finish().assert_clean()
        # Consuming, notes, lease, events and results have connections of their own.
        assert tls.handshakes >= 4


def test_jobs_reserved_through_sentinel(sentinel: Sentinel, broker_url: str) -> None:
    """``sentinel://``: messages of the master are reserved in slabs, and settled there."""
    options = {"master_name": MASTER, "lease_seconds": 15.0}
    received: list[Any] = []
    with Connection(sentinel.url(), transport_options=options) as connection:
        assert isinstance(connection.transport, SentinelTransport)
        producer = connection.Producer()
        for number in range(10):
            producer.publish({"number": number}, exchange="", routing_key=QUEUE.name)

        with Consumer(connection, [QUEUE], on_message=received.append):
            wait_for(lambda: drained(connection, received, 10), what="the messages")
            assert (0, 10) == places(broker_url)
            for message in received:
                message.ack()
            reservation = connection.default_channel.reservation
            reservation.flush()

        assert list(range(10)) == [message.payload["number"] for message in received]
        assert (0, 0) == places(broker_url)
        reservation.release()


def drained(connection: Connection, received: list[Any], messages: int) -> bool:
    """Let the connection deliver for a moment; tell whether so many messages are there."""
    with suppress(TimeoutError):
        connection.drain_events(timeout=0.1)
    return len(received) >= messages
