"""The socket under the client: short answers are read at once, all others are left for redis-py."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from celeriac.connection import TimedSocket, deadline
from tests.waiting import wait_for


@pytest.fixture
def ends() -> Iterator[tuple[TimedSocket, socket.socket]]:
    """The client's end and the server's."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield TimedSocket(ours), theirs


def test_a_number_is_read_at_once(ends: tuple[TimedSocket, socket.socket]) -> None:
    """An answer that is one number is returned, and nothing is left."""
    ours, theirs = ends
    theirs.sendall(b":123\r\n")

    assert 123 == ours.read_integer()
    assert ours.is_quiet()


@pytest.mark.parametrize(
    "answer", [b":12", b":1\r\n:2\r\n", b"-ERR no\r\n", b"$1\r\na\r\n", b":\r\n", b"+OK\r\n"]
)
def test_another_answer_is_left(ends: tuple[TimedSocket, socket.socket], answer: bytes) -> None:
    """What is no number, or not one alone, is there to be read as it came."""
    ours, theirs = ends
    theirs.sendall(answer)

    assert ours.read_integer() is None
    assert not ours.is_quiet()
    assert answer[:2] == ours.recv(2)
    assert answer[2:] == (ours.recv(100) if answer[2:] else b"")


def test_a_rest_is_received_into_a_buffer(ends: tuple[TimedSocket, socket.socket]) -> None:
    """Parsers that bring their own buffer get what was left unread, too."""
    ours, theirs = ends
    theirs.sendall(b"+OK\r\n")
    ours.read_integer()
    buffer = bytearray(3)

    assert 3 == ours.recv_into(buffer)
    assert b"+OK" == buffer
    assert b"\r\n" == ours.recv(100)


def test_a_closed_socket_is_not_quiet(ends: tuple[TimedSocket, socket.socket]) -> None:
    """A peer that is gone is seen before anything is sent to it."""
    ours, theirs = ends
    assert ours.is_quiet()

    theirs.close()

    wait_for(lambda: not ours.is_quiet())


def test_what_finds_no_room_is_sent_bit_by_bit(ends: tuple[TimedSocket, socket.socket]) -> None:
    """More than the system takes at once arrives whole and in its order."""
    ours, theirs = ends
    ours.settimeout(60)
    sent = bytes(range(256)) * 16_384

    with ThreadPoolExecutor(1) as reader:
        received = reader.submit(lambda: theirs.makefile("rb").read(len(sent)))
        ours.sendall(sent)

    assert sent == received.result()


@pytest.mark.parametrize("call", [lambda one: one.recv(1), lambda one: one.sendall(bytes(1 << 24))])
def test_a_wait_ends(
    ends: tuple[TimedSocket, socket.socket], call: Callable[[TimedSocket], object]
) -> None:
    """A peer that neither sends nor reads ends the wait with Python's own error."""
    ours, _ = ends

    with deadline(0.01), pytest.raises(TimeoutError):
        call(ours)


def test_nobody_waits_who_must_not(ends: tuple[TimedSocket, socket.socket]) -> None:
    """With a timeout of 0 nothing to be read is said at once, as a socket says it."""
    ours, _ = ends
    ours.settimeout(0)

    with pytest.raises(BlockingIOError):
        ours.recv(1)


def test_a_socket_tells_how_long_it_waits(ends: tuple[TimedSocket, socket.socket]) -> None:
    """redis-py takes 0 for "does not wait", and would leave the timeout as it is."""
    ours, _ = ends
    ours.settimeout(7)

    assert 7 == ours.gettimeout()


@pytest.mark.parametrize("seconds", [3e6, 1e300])
def test_a_wait_may_be_longer_than_the_system_counts(
    ends: tuple[TimedSocket, socket.socket], seconds: float
) -> None:
    """More milliseconds than the system has bits for are as many as it has."""
    ours, theirs = ends
    ours.settimeout(seconds)
    theirs.sendall(b"a")

    assert b"a" == ours.recv(1)
