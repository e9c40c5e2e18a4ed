"""Talk to one database of one Redis server, each call within its deadline."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from celeriac.connection import deadline, open_pool
from celeriac.errors import BrokerUnavailable
from celeriac.urls import Address

Answer = TypeVar("Answer")


class Server:
    """One database of one Redis server, for all threads of a process."""

    def __init__(self, address: Address, timeout_seconds: float) -> None:
        self.address = address
        self.timeout_seconds = timeout_seconds
        self._pool = open_pool(address, timeout_seconds)
        self._redis = Redis(connection_pool=self._pool)

    def ask(self, tried: str, command: Callable[[Redis], Answer]) -> Answer:
        """Run a command within the deadline, or raise :class:`BrokerUnavailable`."""
        return self._bounded(tried, lambda: command(self._redis), self.timeout_seconds)

    @contextmanager
    def listen(self, channel: str) -> Iterator[Callable[[float], None]]:
        """Subscribe; inside, call what is yielded to wait until a message or a timeout.

        The subscription stands on the server before the block begins, so that
        whoever looks at the state inside cannot miss what follows.
        """
        pubsub: PubSub = self._redis.pubsub()  # type: ignore[no-untyped-call]  # redis-py's gap
        tried = f"SUBSCRIBE {channel}"

        def wait(seconds: float) -> None:
            bound = seconds + self.timeout_seconds
            self._bounded(tried, lambda: pubsub.get_message(timeout=seconds), bound)

        try:
            self.ask(tried, lambda _: self._subscribe(pubsub, channel))
            yield wait
        finally:
            pubsub.close()

    def close(self) -> None:
        """Close all idle connections."""
        self._pool.disconnect(inuse_connections=False)

    def _subscribe(self, pubsub: PubSub, channel: str) -> None:
        pubsub.subscribe(channel)
        if pubsub.get_message(timeout=self.timeout_seconds) is None:
            raise RedisTimeout("no answer")

    def _bounded(self, tried: str, act: Callable[[], Answer], seconds: float) -> Answer:
        try:
            with deadline(seconds):
                return act()
        except (RedisError, OSError) as error:
            raise BrokerUnavailable(
                f"{self.address} is not available, tried {tried}"
                f" for at most {seconds:g} s: {error or type(error).__name__}"
            ) from error
