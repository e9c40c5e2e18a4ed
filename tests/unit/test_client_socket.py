"""The socket under the client: short answers are read at once, all others are left for redis-py."""

import socket
from collections.abc import Iterator

import pytest

from celeriac.connection import TimedSocket
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
