"""Redis connections on which no wait outlasts the call under way.

redis-py's timeouts hold for one read or one address each, so a slow peer or a
name with many addresses can stretch a call at will. Here a call sets one
deadline, and every connect, send and receive of its thread is cut to what is
left. Only the resolver of host names cannot be bounded from here.
"""

import select
import socket
import threading
import time
from importlib.util import find_spec
from math import inf
from ssl import SSLSocket
from typing import Any, Final

from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from celeriac.urls import Address

#: A deadline that has passed still lets a socket call start, and fail as a timeout.
LEAST_SECONDS: Final = 0.001
#: The system counts a wait in milliseconds, in so many bits. Nobody waits for three weeks.
LONGEST_SECONDS: Final = (2**31 - 1) // 1000
#: Far more than a number takes.
_ANSWER_BYTES: Final = 4096
TRUE_WORDS: Final = frozenset({"1", "true", "yes"})

#: redis-py would tell its version to each connection, and read it from disk each time anew:
#: two round trips, and milliseconds in which an event loop stands still.
_NAMELESS: Final[dict[str, Any]] = (
    {"driver_info": None}
    if find_spec("redis.driver_info")
    else {"lib_name": None, "lib_version": None}
)


class _Call(threading.local):
    """When the call under way has to end, in each thread."""

    ends = inf


_call = _Call()


class deadline:  # noqa: N801 - reads as a statement; a generator's frame would cost every call
    """Bound what this thread does with Redis inside the block; a nearer outer bound holds."""

    __slots__ = ("_outer", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        outer = self._outer = _call.ends
        ends = time.monotonic() + self._seconds
        _call.ends = ends if ends < outer else outer

    def __exit__(self, *_: object) -> None:
        _call.ends = self._outer


def cut_to_deadline(seconds: float | None) -> float | None:
    """Shorten a socket's timeout to what is left of the call; 0 stays "do not wait"."""
    ends = _call.ends
    if seconds == 0 or (seconds is None and ends == inf):
        return seconds
    longest = LONGEST_SECONDS if seconds is None else min(seconds, LONGEST_SECONDS)
    return max(LEAST_SECONDS, min(longest, ends - time.monotonic()))


class TimedSocket:
    """A socket that cuts its own timeout before each wait, and reads short answers itself."""

    def __init__(self, wrapped: socket.socket) -> None:
        self._wrapped = wrapped
        self._seconds = wrapped.gettimeout()
        #: Received, but not for us: the next to be read.
        self._unread = b""
        self._poll = _poll_of(wrapped)
        if self._poll is not None:
            # Waiting is done here: Python's own takes a system call to set the timeout, each time.
            wrapped.setblocking(False)

    def settimeout(self, seconds: float | None) -> None:
        """Wait so long at most, also where the call would have more left."""
        self._seconds = seconds

    def gettimeout(self) -> float | None:
        """Return that; the socket itself would say that it never waits."""
        return self._seconds

    def read_integer(self) -> int | None:
        """Read an answer that is one number and nothing else; leave any other, unread."""
        answer = self.recv(_ANSWER_BYTES)
        if answer[:1] == b":" and answer[-2:] == b"\r\n" and answer[1:-2].isdigit():
            return int(answer[1:-2])
        self._unread = answer
        return None

    def is_quiet(self) -> bool | None:
        """Tell whether it is open with nothing to be read; None if only reading would tell."""
        return None if self._poll is None else not self._unread and not self._poll.poll(0)

    def recv(self, size: int, *flags: int) -> bytes:
        """Receive as a socket does, what was left unread first."""
        if self._unread:
            found, self._unread = self._unread[:size], self._unread[size:]
            return found
        self._wait()
        return self._wrapped.recv(size, *flags)

    def recv_into(self, buffer: Any, *arguments: int) -> int:
        """Do the same into a buffer."""
        if self._unread:
            found = self.recv(len(memoryview(buffer).cast("B")))
            memoryview(buffer).cast("B")[: len(found)] = found
            return len(found)
        self._wait()
        return self._wrapped.recv_into(buffer, *arguments)

    def sendall(self, data: bytes) -> None:
        """Send as a socket does."""
        if self._poll is None:
            self._wrapped.settimeout(cut_to_deadline(self._seconds))
            self._wrapped.sendall(data)
            return
        sent = self._send_some(data)
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:])

    def _send_rest(self, rest: memoryview) -> None:
        room = select.poll()
        room.register(self._wrapped, select.POLLOUT)
        while rest:
            self._wait_for(room)
            rest = rest[self._send_some(rest) :]

    def _send_some(self, data: bytes | memoryview) -> int:
        try:
            return self._wrapped.send(data)
        except BlockingIOError:
            return 0

    def _wait(self) -> None:
        if self._poll is None:
            self._wrapped.settimeout(cut_to_deadline(self._seconds))
        else:
            self._wait_for(self._poll)

    def _wait_for(self, poll: Any) -> None:
        seconds = cut_to_deadline(self._seconds)
        # With 0 nobody waits, and the call that follows says whether it would have had to.
        if seconds != 0 and not poll.poll(seconds and seconds * 1000):
            raise TimeoutError("timed out")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


def _poll_of(wrapped: socket.socket) -> Any:
    # What TLS sends for itself makes a socket readable with nothing there for us to read.
    if isinstance(wrapped, SSLSocket) or not hasattr(select, "poll"):
        return None
    poll = select.poll()
    poll.register(wrapped, select.POLLIN)
    return poll


class _Timed:
    """What the three kinds of connection share; stands before redis-py's class."""

    #: The socket of the connection, once it was made.
    timed: TimedSocket
    _connect_seconds: float | None = None

    # A property, because redis-py reads it anew for each address of a host.
    @property
    def socket_connect_timeout(self) -> float | None:
        return cut_to_deadline(self._connect_seconds)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, seconds: float | None) -> None:
        self._connect_seconds = seconds

    def _connect(self) -> Any:
        self.timed = TimedSocket(super()._connect())  # type: ignore[misc]  # redis-py's class follows
        return self.timed


class _TimedTcp(_Timed, Connection):
    """Over TCP."""


class _TimedTls(_Timed, SSLConnection):
    """Over TLS."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> Any:
        # The handshake waits too, before there is a socket of ours around it.
        seconds = sock.gettimeout()
        sock.settimeout(cut_to_deadline(seconds))
        wrapped: socket.socket = super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]
        wrapped.settimeout(seconds)
        return wrapped


class _TimedUnix(_Timed, UnixDomainSocketConnection):
    """Over a Unix socket."""


def open_pool(address: Address) -> ConnectionPool:
    """Make a pool for one address; nothing is connected before it is used.

    Its waits have no bound but that of the call under way, which may be given
    more time than others. Nothing is retried either: a connection that died
    while idle is seen and replaced by redis-py, and what died under way is for
    the caller to judge.
    """
    return ConnectionPool(
        connection_class=_connection_class(address),
        socket_timeout=LONGEST_SECONDS,
        socket_connect_timeout=LONGEST_SECONDS,
        retry=Retry(NoBackoff(), 0),
        **pool_options(address),
    )


def pool_options(address: Address) -> dict[str, Any]:
    """Return what redis-py's pools, of either sort, are told of an address."""
    place: dict[str, Any] = {"host": address.host, "port": address.port}
    if address.path is not None:
        place = {"path": address.path}
    return {
        "db": address.db,
        "username": address.username,
        "password": address.password,
        "protocol": 2,
        **_NAMELESS,
        **place,
        **_redis_options(address),
    }


def _connection_class(address: Address) -> type[Connection | UnixDomainSocketConnection]:
    if address.path is not None:
        return _TimedUnix
    return _TimedTls if address.tls else _TimedTcp


def _redis_options(address: Address) -> dict[str, Any]:
    options: dict[str, Any] = dict(address.options)
    if "ssl_cert_reqs" in options:
        # Celery spells it CERT_REQUIRED, redis-py required.
        options["ssl_cert_reqs"] = options["ssl_cert_reqs"].lower().removeprefix("cert_")
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = options["ssl_check_hostname"].lower() in TRUE_WORDS
    return options
