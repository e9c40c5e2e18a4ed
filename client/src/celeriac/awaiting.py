"""Carry out plans in asyncio: the edge that waits without holding up the loop."""

import asyncio
import os
from collections import deque
from contextlib import suppress
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.connection import (  # type: ignore[attr-defined]  # async_timeout is asyncio's, or what stands for it on Python 3.10
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
    async_timeout,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from celeriac.connection import pool_options
from celeriac.errors import BrokerUnavailable
from celeriac.steps import Ask, Hear, Pause, Plan, Step, Subscribe, Take, take_async
from celeriac.unavailable import FAILURES as FAILURES_IN_THREADS
from celeriac.unavailable import unavailable
from celeriac.urls import Address
from celeriac.wire import pack

Answer = TypeVar("Answer")

#: So many calls of one loop are under way at a time, on as many connections; others wait for
#: their turn. A thousand at once would hold up the loop, and Redis.
CALLS_AT_ONCE: Final = 16
#: Making a connection takes redis-py a millisecond of the loop's time, in few pieces.
CONNECTING_AT_ONCE: Final = 2
#: An error may come with an unread answer on its connection; the sooner of both ends a wait.
FAILURES: Final = (*FAILURES_IN_THREADS, asyncio.TimeoutError)


class Edge:
    """Connections to Redis for each event loop that a client is used in, made when needed."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._pid = os.getpid()
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop]
        self._loops = WeakKeyDictionary()

    async def run(
        self, plan: Plan[Answer], seconds: float | None = None, *, is_bounded: bool = True
    ) -> Answer:
        """Carry out a plan; each of its steps, and if it is bounded all of it, ends in time."""
        run = _Run(self, seconds or self._timeout_seconds, is_bounded=is_bounded)
        if not is_bounded:
            # Most of its time it waits for others; its commands take their turns one by one.
            return await run.to_its_end(plan)
        async with _Turn(self._loop().turns, run.left()):
            return await run.to_its_end(plan)

    def server(self, address: Address) -> "_Server":
        """Return the connections of this loop to a server."""
        servers = self._loop().servers
        if address not in servers:
            servers[address] = _Server(address)
        return servers[address]

    async def close(self) -> None:
        """Close this loop's idle connections; a later call would open them again."""
        for server in self._loop().servers.values():
            await server.close()

    def _loop(self) -> "_Loop":
        if self._pid != os.getpid():
            # The parent's: two processes must not talk through one socket.
            self._loops, self._pid = WeakKeyDictionary(), os.getpid()
        return self._loops.setdefault(asyncio.get_running_loop(), _Loop())


class _Loop:
    """What belongs to one event loop."""

    def __init__(self) -> None:
        self.servers: dict[Address, _Server] = {}
        self.turns = asyncio.Semaphore(CALLS_AT_ONCE)


class _Turn:
    """A turn among many calls; who did not get one in time goes on, to say so."""

    def __init__(self, turns: asyncio.Semaphore, seconds: float) -> None:
        self._turns = turns
        self._seconds = seconds
        self._is_mine = False

    async def __aenter__(self) -> None:
        if not self._turns.locked():
            # Does not wait: a deadline would take longer than the turn.
            self._is_mine = await self._turns.acquire()
            return
        with suppress(asyncio.TimeoutError):
            async with async_timeout(self._seconds):
                self._is_mine = await self._turns.acquire()

    async def __aexit__(self, *_: object) -> None:
        if self._is_mine:
            self._turns.release()


class _Server:
    """Idle connections to one database of one server, in one loop."""

    def __init__(self, address: Address) -> None:
        self._address = address
        kind = SSLConnection if address.tls else Connection
        self._pool: ConnectionPool = ConnectionPool(
            connection_class=UnixDomainSocketConnection if address.path is not None else kind,
            # Every wait is bounded here, as a whole: redis-py's own bounds hold for a part each.
            socket_timeout=None,
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
            **pool_options(address),
        )
        # One for all: its constructor takes longer than a job.
        self._redis = Redis(connection_pool=self._pool)
        self._idle: deque[Any] = deque()
        self._turns = asyncio.Semaphore(CALLS_AT_ONCE)
        self._connecting = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def ask(self, step: Ask, seconds: float) -> Any:
        """Send one command and return the answer, or raise :class:`BrokerUnavailable`."""
        packed = pack(step.command)
        is_sent = False
        connection: Any = None
        try:
            async with async_timeout(seconds), self._turns:
                connection = await self._ready_connection()
                is_sent = True
                await connection.send_packed_command(packed, check_health=False)
                answer = await connection.read_response()
        except ResponseError as error:
            if connection is not None:
                self._idle.append(connection)
            raise unavailable(step.server, step.tried, seconds, error, is_sent=False) from error
        except FAILURES as error:
            await _drop(connection)
            raise unavailable(step.server, step.tried, seconds, error, is_sent=is_sent) from error
        except BaseException:
            # Its answer would be taken for that of the next command.
            await _drop(connection)
            raise
        self._idle.append(connection)
        return answer

    async def subscribe(self, channel: str, seconds: float) -> PubSub:
        """Return a subscription that stands on the server."""
        pubsub = self._redis.pubsub()
        try:
            async with async_timeout(seconds), self._connecting:
                await pubsub.subscribe(channel)
                while await pubsub.get_message(timeout=seconds) is None:
                    pass
        except BaseException as error:
            await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py's gap
            if isinstance(error, FAILURES):
                tried = f"SUBSCRIBE {channel}"
                raise unavailable(self._address, tried, seconds, error, is_sent=False) from error
            raise
        return pubsub

    async def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            await _drop(self._idle.pop())
        await self._pool.disconnect(inuse_connections=False)

    async def _ready_connection(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not _is_stale(connection):
                return connection
            await _drop(connection)
        made: Any = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            async with self._connecting:
                await made.connect()
        except BaseException:
            await _drop(made)
            raise
        return made


class _Run:
    """One plan under way."""

    def __init__(self, edge: Edge, seconds: float, *, is_bounded: bool) -> None:
        self._edge = edge
        self._seconds = seconds
        self._ends = asyncio.get_running_loop().time() + seconds if is_bounded else None
        # Set by the Subscribe without which no plan hears.
        self._subscription: Any = None
        self._listens_to: Any = None

    async def to_its_end(self, plan: Plan[Answer]) -> Answer:
        """Take step after step; what goes wrong with Redis is told to the plan first."""
        try:
            return await self._take_steps(plan)
        finally:
            await self._end()

    async def _take_steps(self, plan: Plan[Answer]) -> Answer:
        try:
            step = next(plan)
            while True:
                try:
                    answer = await self._act(step)
                except BrokerUnavailable as error:  # noqa: PERF203 - a round trip each time
                    step = plan.throw(error)
                else:
                    step = plan.send(answer)
        except StopIteration as ended:
            found: Answer = ended.value
            return found

    async def _act(self, step: Step) -> Any:
        if isinstance(step, Ask):
            return await self._edge.server(step.server).ask(step, self.left())
        if isinstance(step, Take):
            return await take_async(step)
        if isinstance(step, Subscribe):
            await self._end()
            server = self._edge.server(step.server)
            self._subscription = await server.subscribe(step.channel, self.left())
            self._listens_to = step
        elif isinstance(step, Hear):
            await self._hear(step.seconds)
        elif isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        return None

    async def _end(self) -> None:
        if self._subscription is not None:
            await self._subscription.aclose()
            self._subscription = None

    async def _hear(self, seconds: float) -> None:
        server, channel = self._listens_to
        try:
            async with async_timeout(seconds + self._seconds):
                await self._subscription.get_message(timeout=seconds)
        except FAILURES as error:
            tried = f"SUBSCRIBE {channel}"
            raise unavailable(server, tried, self._seconds, error, is_sent=False) from error

    def left(self) -> float:
        """Tell how many seconds the next step may take."""
        if self._ends is None:
            return self._seconds
        return max(0.0, self._ends - asyncio.get_running_loop().time())


def _is_stale(connection: Any) -> bool:
    """Tell whether an idle connection was closed by the other side, or has something unread.

    redis-py's own look is a coroutine of several turns; the stream knows at once.
    """
    reader = connection._reader  # noqa: SLF001 - see above; looked at, never touched
    if reader is None or reader.at_eof() or reader.exception() is not None:
        return True
    # hiredis, where it is installed, takes all that came, and keeps what is left.
    taken = getattr(connection._parser, "_reader", None)  # noqa: SLF001 - the same
    return bool(reader._buffer or (taken is not None and taken.has_data()))  # noqa: SLF001 - the same


async def _drop(connection: Any) -> None:
    if connection is not None:
        await connection.disconnect(nowait=True)
