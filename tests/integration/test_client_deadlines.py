"""Whatever Redis does, a call of the client ends in time and says what it tried."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from redis import Redis

from celeriac import BrokerUnavailable, Client, State
from tests.waiting import least_seconds
from worker.embedded import EmbeddedValkey

TIMEOUT = 0.5
#: A second attempt within one call would take it.
BELOW = 2 * TIMEOUT
ROW = {"a": 1}

CALLS: dict[str, Callable[[Client], object]] = {
    "ingest": lambda client: client.ingest("flights", ROW),
    "report": lambda client: client.report("daily"),
    "state": lambda client: client.ticket("a-job").state(),
    "wait": lambda client: client.ticket("a-job").wait(60),
}


@pytest.fixture
def silent() -> Iterator[str]:
    """A broker that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"redis://user:secret@127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.fixture
def dripping() -> Iterator[str]:
    """A broker that sends an answer without end, a byte at a time."""
    ended = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def drip() -> None:
            while not ended.is_set():
                with suppress(OSError), listener.accept()[0] as peer:
                    while not ended.wait(TIMEOUT / 10):
                        peer.sendall(b"+")

        thread = threading.Thread(target=drip)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        ended.set()
        # Whoever still waits for a caller has one.
        socket.create_connection(listener.getsockname()).close()
        thread.join(60)


def failure(call: Callable[[Client], object], url: str) -> str:
    """Make a call that fails; return its words."""
    with Client(url, url, timeout=TIMEOUT) as client, pytest.raises(BrokerUnavailable) as caught:
        call(client)
    return str(caught.value)


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_broker_that_is_down(call: Callable[[Client], object]) -> None:
    """A refused connection raises in time, naming the host and never the password."""
    url = f"redis://user:secret@127.0.0.1:{free_port()}/3"

    words: list[str] = []

    seconds = least_seconds(lambda: words.append(failure(call, url)), BELOW)

    assert seconds < BELOW
    assert "redis://127.0.0.1:" in words[-1]
    assert "secret" not in words[-1]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_broker_that_never_answers(call: Callable[[Client], object], silent: str) -> None:
    """A connection that is half open raises in time, naming what was tried."""
    words: list[str] = []

    seconds = least_seconds(lambda: words.append(failure(call, silent)), BELOW)

    assert seconds < BELOW
    assert re.search(r"tried .* for at most 0\.5 s", words[-1])
    assert "secret" not in words[-1]


def test_a_handshake_that_never_ends(silent: str) -> None:
    """TLS with a peer that says nothing is within the deadline too."""
    url = silent.replace("redis:", "rediss:")
    words: list[str] = []

    seconds = least_seconds(lambda: words.append(failure(CALLS["ingest"], url)), BELOW)

    assert seconds < BELOW
    assert "rediss://127" in words[-1]


def test_a_broker_that_drips(dripping: str) -> None:
    """An answer that comes a byte at a time does not stretch the deadline."""
    seconds = least_seconds(lambda: failure(CALLS["ingest"], dripping), BELOW)

    assert seconds < BELOW


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    """A Unix socket is named as a host is."""
    with Client(f"unix://{tmp_path}/none.sock") as client:
        with pytest.raises(BrokerUnavailable, match=f"unix://{tmp_path}/none.sock"):
            client.ingest("flights", ROW)


def test_a_lost_push_names_the_job(broker_url: str, valkey_server: EmbeddedValkey) -> None:
    """A push that Redis refuses carries the id under which to send the job again."""
    with valkey_server.client() as redis, Client(broker_url) as client:
        redis.set("celeriac.ingest", "no list")

        with pytest.raises(BrokerUnavailable, match=r"WRONGTYPE.*, job a-job$") as caught:
            client.ingest("flights", ROW, id="a-job")

    assert "a-job" == caught.value.job_id


def test_a_connection_lost_while_idle(broker_url: str, valkey_server: EmbeddedValkey) -> None:
    """A broker that dropped idle connections costs the caller nothing."""
    with valkey_server.client() as redis, Client(broker_url) as client:
        client.ingest("flights", ROW)
        redis.client_kill_filter(_type="normal", skipme=True)

        ticket = client.ingest("flights", ROW)

        assert State.QUEUED is ticket.state()


def test_a_wait_outlives_a_short_outage(broker_url: str, valkey_server: EmbeddedValkey) -> None:
    """Connections that are cut while a job is waited for are made anew."""
    found: list[object] = []
    with valkey_server.client() as redis, Client(broker_url) as client:
        ticket = client.ingest("flights", ROW)
        waiter = threading.Thread(target=lambda: found.append(ticket.wait(60)))
        waiter.start()
        _cut(redis, f"celery-task-meta-{ticket.id}")

        redis.set(
            f"celery-task-meta-{ticket.id}", '{"status": "SUCCESS", "result": {"inserted": 1}}'
        )

        waiter.join(60)
    assert [{"inserted": 1}] == found


def _cut(redis: Redis, channel: str) -> None:
    """Cut every subscriber as soon as there is one."""
    while not redis.client_kill_filter(_type="pubsub"):
        redis.ping()
