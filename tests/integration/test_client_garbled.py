"""A broker that answers nonsense, late, or more than it was asked, spoils no later call."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest

from celeriac import AsyncClient, BrokerUnavailable, Client, State

ROW = {"a": 1}
NONE = b"$-1\r\n"
TIMEOUT = 60.0
#: More file descriptors than a call leaves free below the highest.
FILES = 20


@contextmanager
def _broker(*answers: bytes, pause_seconds: float = 0) -> Iterator[str]:
    """A broker that gives these answers, a command each, and then that there is nothing."""
    left, ended = iter(answers), threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def answer(peer: socket.socket) -> None:
            with suppress(OSError), peer:
                while peer.recv(65_536):
                    ended.wait(pause_seconds)
                    peer.sendall(next(left, NONE))

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    threading.Thread(target=answer, args=(peer,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        # Ends a wait for the next caller, as closing it would not.
        listener.shutdown(socket.SHUT_RDWR)


def _told(call: Callable[[], object]) -> object:
    try:
        return call()
    except BrokerUnavailable as error:
        return error.may_have_arrived


def _in_threads(url: str, calls: int, *, job_id: str | None = None) -> list[object]:
    """Ask for a state, or send a job, so often by one client; return what came of each call."""
    with Client(url, url, timeout=TIMEOUT) as client:

        def call() -> object:
            if job_id is None:
                return client.ticket("x").state()
            return client.ingest("t", ROW, id=job_id).id

        return [_told(call) for _ in range(calls)]


def _in_a_loop(url: str, calls: int, *, job_id: str | None = None) -> list[object]:
    """Do the same in asyncio."""

    async def call(client: AsyncClient) -> object:
        try:
            if job_id is None:
                return await client.ticket("x").state()
            return (await client.ingest("t", ROW, id=job_id)).id
        except BrokerUnavailable as error:
            return error.may_have_arrived

    async def call_each() -> list[object]:
        async with AsyncClient(url, result_url=url, timeout=TIMEOUT) as client:
            return [await call(client) for _ in range(calls)]

    return asyncio.run(call_each())


both = pytest.mark.parametrize("run", [_in_threads, _in_a_loop])


def _result(status: str) -> bytes:
    text = json.dumps({"status": status, "result": None}).encode()
    return b"$%d\r\n%b\r\n" % (len(text), text)


@both
@pytest.mark.parametrize(
    ("first", "told"), [(b"-ERR no\r\n", False), (NONE, State.UNKNOWN)], ids=["error", "answer"]
)
def test_what_nobody_asked_for_is_no_answer(run: Any, first: bytes, told: object) -> None:
    """What comes after an answer, or after an error, is not taken for the next one."""
    with _broker(first + _result("SUCCESS"), _result("REVOKED")) as url:
        found = run(url, 2)

    assert [told, State.CANCELLED] == found


@pytest.mark.parametrize(
    ("run", "garbage"),
    [
        (_in_threads, b":\r\n"),
        (_in_threads, b"$99999999999999999999\r\n"),
        (_in_threads, b"*1\r\n" * 5_000),
        (_in_a_loop, b":\r\n"),
        (_in_a_loop, b"$-5\r\n"),
        (_in_a_loop, b"*1\r\n" * 5_000),
    ],
    ids=["number", "length", "depth", "number-asyncio", "length-asyncio", "depth-asyncio"],
)
def test_garbage_is_a_broker_that_is_not_available(run: Any, garbage: bytes) -> None:
    """What redis-py cannot read leaves the job in doubt, and the next call a new connection."""
    with _broker(NONE, garbage, b":1\r\n") as url:
        found = run(url, 2, job_id="a-job")

    assert [True, "a-job"] == found


@both
def test_a_database_that_is_not_there(run: Any) -> None:
    """A connection that was refused is not used by the next call either."""
    refusals = 2 * [b"-ERR DB index is out of range\r\n"]
    with _broker(*refusals, b"+OK\r\n") as url:
        found = run(f"{url}/99", 3)

    assert [False, False, State.UNKNOWN] == found


def test_a_closed_connection_is_not_kept() -> None:
    """Whatever gets the number of its socket next is not taken for it."""
    with _broker(NONE + NONE) as url, Client(url, url) as client, ExitStack() as files:
        client.ticket("x").state()
        for _ in range(FILES):
            for end in os.pipe():
                files.callback(os.close, end)

        assert State.UNKNOWN is client.ticket("x").state()


def test_a_deadline_may_be_longer_than_the_timeout() -> None:
    """A call that is given more time than the client's others has it."""
    with _broker(pause_seconds=0.2) as url, Client(url, url, timeout=0.05) as client:
        with pytest.raises(BrokerUnavailable):
            client.ingest("t", ROW, id="a-job")

        assert "a-job" == client.ingest("t", ROW, id="a-job", deadline=60).id


@pytest.mark.parametrize("seconds", [3e6, 1e300])
def test_a_timeout_may_be_longer_than_the_system_waits(seconds: float) -> None:
    """What is meant as "for ever" is a timeout like others."""
    with _broker() as url, Client(url, url, timeout=seconds) as client:
        assert State.UNKNOWN is client.ticket("x").state()
