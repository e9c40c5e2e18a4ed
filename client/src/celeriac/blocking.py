"""Carry out plans in threads: the edge that waits by standing still."""

import os
import time
from collections import deque
from typing import Any, Final, TypeVar

from redis.client import PubSub, Redis
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from celeriac.connection import deadline, open_pool
from celeriac.errors import BrokerUnavailable
from celeriac.steps import Ask, Hear, Pause, Plan, Step, Subscribe, Take, take
from celeriac.unavailable import FAILURES, unavailable
from celeriac.urls import Address
from celeriac.wire import pack

Answer = TypeVar("Answer")

#: More connections than this are closed when they come back.
IDLE_CONNECTIONS: Final = 32


class Edge:
    """Connections to Redis for all threads of a process, made when first needed."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._servers: dict[Address, _Server] = {}

    def run(
        self, plan: Plan[Answer], seconds: float | None = None, *, is_bounded: bool = True
    ) -> Answer:
        """Carry out a plan; each of its steps, and if it is bounded all of it, ends in time."""
        step_seconds = seconds or self._timeout_seconds
        run = _Run(self, step_seconds, is_bounded=is_bounded)
        if not is_bounded:
            return run.to_its_end(plan)
        with deadline(step_seconds):
            return run.to_its_end(plan)

    def server(self, address: Address) -> "_Server":
        """Return the connections to a server."""
        found = self._servers.get(address)
        if found is None:
            found = self._servers.setdefault(address, _Server(address))
        return found

    def close(self) -> None:
        """Close all idle connections; a later call would open them again."""
        for server in list(self._servers.values()):
            server.close()


class _Server:
    """Idle connections to one database of one server."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pool = open_pool(address)
        # One for all: its constructor takes longer than a job.
        self._redis = Redis(connection_pool=self._pool)
        self._idle: deque[Any] = deque()
        self._pid = os.getpid()

    def ask(self, step: Ask, seconds: float) -> Any:
        """Send one command and return the answer, or raise :class:`BrokerUnavailable`."""
        packed = pack(step.command)
        is_sent = False
        connection: Any = None
        try:
            connection = self._ready_connection()
            is_sent = True
            answer = _exchange(connection, packed)
        except ResponseError as error:
            if connection is not None:
                self._give_back(connection)
            raise unavailable(step.server, step.tried, seconds, error, is_sent=False) from error
        except FAILURES as error:
            _drop(connection)
            raise unavailable(step.server, step.tried, seconds, error, is_sent=is_sent) from error
        except BaseException:
            # Its answer would be taken for that of the next command.
            _drop(connection)
            raise
        self._give_back(connection)
        return answer

    def subscribe(self, channel: str, seconds: float) -> PubSub:
        """Return a subscription that stands on the server."""
        pubsub: PubSub = self._redis.pubsub()  # type: ignore[no-untyped-call]  # redis-py's gap
        try:
            with deadline(seconds):
                pubsub.subscribe(channel)
                if pubsub.get_message(timeout=seconds) is None:
                    raise RedisTimeout("no answer")
        except BaseException as error:
            pubsub.close()
            if isinstance(error, FAILURES):
                tried = f"SUBSCRIBE {channel}"
                raise unavailable(self._address, tried, seconds, error, is_sent=False) from error
            raise
        return pubsub

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle and self._pid == os.getpid():
            self._idle.pop().disconnect()
        self._pool.disconnect(inuse_connections=False)

    def _ready_connection(self) -> Any:
        if self._pid != os.getpid():
            # The parent's: two processes must not talk through one socket.
            self._idle, self._pid = deque(), os.getpid()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break  # Another thread was faster.
            if _is_ready(connection):
                return connection
            connection.disconnect()
        made: Any = self._pool.connection_class(**self._pool.connection_kwargs)
        made.connect()
        return made

    def _give_back(self, connection: Any) -> None:
        if _is_closed(connection):
            # What watches it knows a number only, which the next file or socket gets.
            return
        if len(self._idle) < IDLE_CONNECTIONS and connection.pid == self._pid:
            self._idle.append(connection)
        else:
            connection.disconnect()


class _Run:
    """One plan under way."""

    def __init__(self, edge: Edge, seconds: float, *, is_bounded: bool) -> None:
        self._is_bounded = is_bounded
        self._edge = edge
        self._seconds = seconds
        # Set by the Subscribe without which no plan hears.
        self._subscription: Any = None
        self._listens_to: Any = None

    def to_its_end(self, plan: Plan[Answer]) -> Answer:
        """Take step after step; what goes wrong with Redis is told to the plan first."""
        try:
            step = next(plan)
            while True:
                try:
                    answer = self._act(step)
                except BrokerUnavailable as error:  # noqa: PERF203 - a round trip each time
                    step = plan.throw(error)
                else:
                    step = plan.send(answer)
        except StopIteration as ended:
            found: Answer = ended.value
            return found
        finally:
            self._end()

    def _end(self) -> None:
        """End the subscription, if there is one."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _act(self, step: Step) -> Any:
        if isinstance(step, Ask):
            server = self._edge.server(step.server)
            if self._is_bounded:
                return server.ask(step, self._seconds)
            with deadline(self._seconds):
                return server.ask(step, self._seconds)
        if isinstance(step, Take):
            return take(step)
        if isinstance(step, Subscribe):
            self._end()
            server = self._edge.server(step.server)
            self._subscription = server.subscribe(step.channel, self._seconds)
            self._listens_to = step
        elif isinstance(step, Hear):
            self._hear(step.seconds)
        elif isinstance(step, Pause) and step.seconds:
            time.sleep(step.seconds)
        return None

    def _hear(self, seconds: float) -> None:
        server, channel = self._listens_to
        try:
            with deadline(seconds + self._seconds):
                self._subscription.get_message(timeout=seconds)
        except FAILURES as error:
            tried = f"SUBSCRIBE {channel}"
            raise unavailable(server, tried, self._seconds, error, is_sent=False) from error


def _exchange(connection: Any, packed: bytes) -> Any:
    # Past redis-py: most commands push, and what they get is a number.
    connection.timed.sendall(packed)
    answer = connection.timed.read_integer()
    if answer is not None:
        return answer
    try:
        return connection.read_response()
    finally:
        # Of an error too. Nobody asked for more, and it would be taken for the next answer.
        if not _is_closed(connection) and not _is_read_out(connection):
            connection.disconnect()


def _is_ready(connection: Any) -> bool:
    """Tell whether an idle connection is still open and has nothing unread."""
    is_quiet = connection.timed.is_quiet()
    return _is_read_out(connection) if is_quiet is None else bool(is_quiet)


def _is_read_out(connection: Any) -> bool:
    """Tell whether it is open with nothing unread, in redis-py's buffer neither."""
    try:
        return not connection.can_read(timeout=0)
    except FAILURES:
        return False


def _is_closed(connection: Any) -> bool:
    return connection._sock is None  # noqa: SLF001 - redis-py tells it nowhere else


def _drop(connection: Any) -> None:
    if connection is not None:
        connection.disconnect()
