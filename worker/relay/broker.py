"""The relay's way to Redis: by the same URLs and options as the workers', over kombu's pool."""

from typing import Any

from kombu import Connection
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from worker.relay.memory import Memory
from worker.transport import broker_settings

#: What says that Redis is away, refuses, or is full.
BROKER_ERRORS = (RedisError, OperationalError, OSError)


class Broker:
    """One deployment's queues, connected when first used."""

    def __init__(
        self, url: str, key_prefix: str = "", *, answer_seconds: float | None = None
    ) -> None:
        self._prefix = key_prefix
        # Nothing is reserved over it, so there is no lease to speak of.
        options = broker_settings(url, lease_seconds=0.0, prefetch_bytes=0, key_prefix=key_prefix)
        transport = options["broker_transport_options"]
        if answer_seconds is not None:
            transport |= dict.fromkeys(("socket_timeout", "socket_connect_timeout"), answer_seconds)
        self._connection = Connection(options["broker_url"], transport_options=transport)
        self._channel: Any = None
        self._lists: dict[tuple[str, int], str] = {}
        self._memory: Memory | None = None

    @property
    def memory(self) -> Memory:
        """What Redis remembers of relays. Raises one of ``BROKER_ERRORS`` if it is away."""
        if self._memory is None:
            self._memory = Memory(self.redis(), self._prefix)
        return self._memory

    def redis(self) -> Redis:
        """Return a client of the broker's database, whose keys are taken as they are."""
        # kombu's own client would put the prefix before some commands' keys, and not others'.
        return Redis(connection_pool=self._opened().client.connection_pool)

    def ping(self) -> None:
        """Ask for a sign of life; raises one of ``BROKER_ERRORS`` if none comes."""
        self._opened().client.ping()

    def list_of(self, queue: str, priority: int) -> str:
        """Name the list of a queue and priority, without the deployment's prefix."""
        found = self._lists.get((queue, priority))
        if found is None:
            found = str(self._opened()._q_for_pri(queue, priority))  # noqa: SLF001 - where kombu puts it
            self._lists[queue, priority] = found
        return found

    def _opened(self) -> Any:
        if self._channel is None:
            self._channel = self._connection.channel()
        return self._channel

    def close(self) -> None:
        """Close the connections."""
        self._connection.release()
