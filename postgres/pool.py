"""Lend the connections of one process, and notice when they are no good.

Built on ``psycopg2.pool``, which raises at once when all connections are out,
never checks whether one still lives, and knows nothing of forks.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg2
from psycopg2 import extensions
from psycopg2.pool import ThreadedConnectionPool

from postgres import Connection
from postgres.errors import ForeignProcess, Phase, PoolExhausted, Refused, refusals
from postgres.session import Session
from postgres.transaction import roll_back


@dataclass(slots=True)
class PoolCounts:
    """What a pool did since it was opened; for metrics."""

    opened: int = 0
    lent: int = 0
    waited: int = 0
    timed_out: int = 0
    dropped_dead: int = 0
    dropped_old: int = 0


@dataclass(slots=True)
class _Tenure:
    opened_at: float
    idle_since: float
    #: Whether nothing of whoever had it last is left in its session.
    is_reset: bool = True


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many connections, how long to wait, when to doubt or retire one."""

    size: int
    wait_seconds: float = 5.0
    max_age_seconds: float = 3600.0
    idle_check_seconds: float = 30.0


@dataclass(slots=True)
class Pool:
    """The connections of the process that opened it, and of no other.

    Open it after the fork. Nothing connects before the first use.
    """

    url: str
    limits: PoolLimits
    session: Session = field(default_factory=Session)
    clock: Callable[[], float] = time.monotonic
    counts: PoolCounts = field(default_factory=PoolCounts, init=False)
    _pid: int = field(default_factory=os.getpid, init=False)
    _inner: ThreadedConnectionPool = field(init=False)
    _free: threading.BoundedSemaphore = field(init=False)
    _tenures: dict[int, _Tenure] = field(default_factory=dict, init=False)
    _out_since: dict[int, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        options = self.session.connect_options()
        self._inner = ThreadedConnectionPool(0, self.limits.size, self.url, **options)
        # psycopg2 keeps only ``minconn`` idle connections; opening none at first
        # and keeping all that came back needs the two numbers apart.
        self._inner.minconn = self.limits.size
        # Counts the connections that may still go out; held for as long as one is lent.
        self._free = threading.BoundedSemaphore(self.limits.size)

    @contextmanager
    def connection(self, *, leaves_nothing: bool = False) -> Iterator[Connection]:
        """Lend a live connection, outside any transaction.

        It is reset when it comes back, by a round trip that is spared to who
        ``leaves_nothing`` in the session: no setting, table, lock or cursor. What
        triggers left there all the same is gone before anybody else is lent it.
        Raises :class:`PoolExhausted` after the deadline, :class:`Refused` when
        the server cannot be reached, :class:`ForeignProcess` after a fork.
        """
        self._refuse_other_process()
        self._wait_for_a_place()
        try:
            with refusals(Phase.CONNECT):
                connection = self._take(leaves_nothing=leaves_nothing)
            try:
                self._out_since[id(connection)] = self.clock()
                yield connection
            finally:
                self._give_back(connection, leaves_nothing=leaves_nothing)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close every connection; a second call, or one after a fork, does nothing."""
        if self._pid == os.getpid() and not self._inner.closed:
            self._inner.closeall()

    def _refuse_other_process(self) -> None:
        if self._pid != os.getpid():
            raise ForeignProcess(
                f"pool was opened by process {self._pid} and used by {os.getpid()}: "
                "open one after the fork"
            )

    def _wait_for_a_place(self) -> None:
        if self._free.acquire(blocking=False):
            return
        self.counts.waited += 1
        if not self._free.acquire(timeout=self.limits.wait_seconds):
            self.counts.timed_out += 1
            raise PoolExhausted(self._who_is_out())

    def _who_is_out(self) -> str:
        now = self.clock()
        # A copy in one step: other threads take and give back meanwhile.
        ages = sorted((now - since for since in list(self._out_since.values())), reverse=True)
        return (
            f"no connection became free within {self.limits.wait_seconds:g} s: "
            f"{len(ages)} of {self.limits.size} are out, for "
            + ", ".join(f"{age:.1f} s" for age in ages)
            + "; raise CELERIAC_POOL_SIZE or look for the work that keeps them"
        )

    def _take(self, *, leaves_nothing: bool) -> Connection:
        while True:
            connection: Connection = self._inner.getconn()
            tenure = self._tenures.get(id(connection))
            if tenure is None:
                return self._admit(connection)
            # Who leaves nothing may have sent what runs triggers that do; its like looks to that.
            if self._is_fit(connection, tenure) and (
                leaves_nothing or tenure.is_reset or _reset(connection)
            ):
                self.counts.lent += 1
                return connection
            self._drop(connection)

    def _admit(self, connection: Connection) -> Connection:
        now = self.clock()
        self._tenures[id(connection)] = _Tenure(opened_at=now, idle_since=now)
        self.counts.opened += 1
        self.counts.lent += 1
        return connection

    def _is_fit(self, connection: Connection, tenure: _Tenure) -> bool:
        now = self.clock()
        if now - tenure.opened_at >= self.limits.max_age_seconds:
            self.counts.dropped_old += 1
            return False
        idle = now - tenure.idle_since
        if idle >= self.limits.idle_check_seconds and not _answers(connection):
            self.counts.dropped_dead += 1
            return False
        return True

    def _give_back(self, connection: Connection, *, leaves_nothing: bool) -> None:
        self._out_since.pop(id(connection), None)
        if (leaves_nothing and _is_idle(connection)) or _reset(connection):
            tenure = self._tenures[id(connection)]
            tenure.idle_since, tenure.is_reset = self.clock(), not leaves_nothing
            self._inner.putconn(connection)
        else:
            self.counts.dropped_dead += 1
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._tenures.pop(id(connection), None)
        self._inner.putconn(connection, close=True)


def _answers(connection: Connection) -> bool:
    try:
        # Outside a transaction, which would begin and end by round trips of their own.
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.autocommit = False
    except psycopg2.Error:
        return False
    return True


def _is_idle(connection: Connection) -> bool:
    """Tell whether the connection lives and is outside a transaction; it is as if lent anew."""
    status = connection.info.transaction_status
    if connection.closed or status != extensions.TRANSACTION_STATUS_IDLE:
        return False
    connection.autocommit = False
    return True


def _reset(connection: Connection) -> bool:
    """Leave nothing of the last user behind; False if the connection is broken."""
    if connection.closed:
        return False
    try:
        roll_back(connection)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("DISCARD ALL")
        connection.autocommit = False
    except (psycopg2.Error, Refused):
        return False
    return connection.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE
