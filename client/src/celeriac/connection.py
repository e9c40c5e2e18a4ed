"""Redis connections on which no wait outlasts the call under way.

redis-py's timeouts hold for one read or one address each, so a slow peer or a
name with many addresses can stretch a call at will. Here a call sets one
deadline, and every connect, send and receive of its thread is cut to what is
left. Only the resolver of host names cannot be bounded from here.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import inf, isinf
from typing import Any, Final

from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.retry import Retry

from celeriac.urls import Address

#: A deadline that has passed still lets a socket call start, and fail as a timeout.
LEAST_SECONDS: Final = 0.001
TRUE_WORDS: Final = frozenset({"1", "true", "yes"})

#: redis-py would tell its version to each connection, and read it from disk each time anew:
#: two round trips, and milliseconds in which an event loop stands still.
_NAMELESS: Final[dict[str, Any]] = (
    {"driver_info": None}
    if find_spec("redis.driver_info")
    else {"lib_name": None, "lib_version": None}
)

_call = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bound what this thread does with Redis inside the block; a nearer outer bound holds."""
    outer: float = getattr(_call, "ends", inf)
    _call.ends = min(outer, time.monotonic() + seconds)
    try:
        yield
    finally:
        _call.ends = outer


def cut_to_deadline(seconds: float | None) -> float | None:
    """Shorten a socket's timeout to what is left of the call; 0 stays "do not wait"."""
    left: float = getattr(_call, "ends", inf) - time.monotonic()
    if seconds == 0 or isinf(left):
        return seconds
    return max(LEAST_SECONDS, left if seconds is None else min(seconds, left))


class _TimedSocket:
    """A socket that cuts its own timeout before each wait."""

    def __init__(self, wrapped: socket.socket) -> None:
        self._wrapped = wrapped
        self._seconds = wrapped.gettimeout()

    def settimeout(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._wrapped.settimeout(seconds)

    def recv(self, *arguments: Any) -> bytes:
        self._wrapped.settimeout(cut_to_deadline(self._seconds))
        return self._wrapped.recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        self._wrapped.settimeout(cut_to_deadline(self._seconds))
        return self._wrapped.recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self._wrapped.settimeout(cut_to_deadline(self._seconds))
        self._wrapped.sendall(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


class _Timed:
    """What the three kinds of connection share; stands before redis-py's class."""

    _connect_seconds: float | None = None

    # A property, because redis-py reads it anew for each address of a host.
    @property
    def socket_connect_timeout(self) -> float | None:
        return cut_to_deadline(self._connect_seconds)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, seconds: float | None) -> None:
        self._connect_seconds = seconds

    def _connect(self) -> Any:
        return _TimedSocket(super()._connect())  # type: ignore[misc]  # redis-py's class follows


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


def open_pool(address: Address, timeout_seconds: float) -> ConnectionPool:
    """Make a pool for one address; nothing is connected before it is used.

    Nothing is retried either: a connection that died while idle is seen and
    replaced by redis-py, and what died under way is for the caller to judge.
    """
    return ConnectionPool(
        connection_class=_connection_class(address),
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
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
