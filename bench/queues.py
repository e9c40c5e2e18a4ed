"""How each broker keeps its messages: read them once from their producer, put them back for a run.

A drain is released at once, on top of idle workers: the messages wait under
another name, then one command makes them the live queue.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

from redis import Redis

HELD = "bench:held"
CHUNK = 500


class Queue(ABC):
    """The live queue of one subject; messages are opaque, oldest first."""

    @abstractmethod
    def take(self) -> list[Any]:
        """Return what a producer has just written, and empty the queue."""

    @abstractmethod
    def hold(self, messages: Sequence[Any]) -> None:
        """Put messages aside on the server."""

    @abstractmethod
    def release(self) -> None:
        """Make the messages that were held the live queue, all at once."""

    @abstractmethod
    def push(self, messages: Sequence[Any]) -> None:
        """Put messages into the live queue now, in one round trip."""


class ListQueue(Queue):
    """A list that grows on the left: Celery's on Redis."""

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis = redis
        self._key = key

    def take(self) -> list[Any]:
        found = cast("list[Any]", self._redis.lrange(self._key, 0, -1))
        self._redis.flushall()
        return found[::-1]

    def hold(self, messages: Sequence[Any]) -> None:
        for start in range(0, len(messages), CHUNK):
            self._redis.lpush(HELD, *messages[start : start + CHUNK])

    def release(self) -> None:
        # Clients that block on the key wake as if it had been pushed.
        self._redis.rename(HELD, self._key)

    def push(self, messages: Sequence[Any]) -> None:
        self._redis.lpush(self._key, *messages)


class DramatiqQueue(Queue):
    """A list of ids that grows on the right, and a hash of messages by id."""

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis = redis
        self._key = key

    def take(self) -> list[Any]:
        ids = cast("list[Any]", self._redis.lrange(self._key, 0, -1))
        bodies = cast("list[Any]", self._redis.hmget(f"{self._key}.msgs", ids))
        self._redis.flushall()
        return list(zip(ids, bodies, strict=True))

    def hold(self, messages: Sequence[Any]) -> None:
        for start in range(0, len(messages), CHUNK):
            part = messages[start : start + CHUNK]
            self._redis.hset(f"{self._key}.msgs", mapping=dict(part))
            self._redis.rpush(HELD, *(one[0] for one in part))

    def release(self) -> None:
        self._redis.rename(HELD, self._key)

    def push(self, messages: Sequence[Any]) -> None:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(f"{self._key}.msgs", mapping=dict(messages))
            pipe.rpush(self._key, *(one[0] for one in messages))
            pipe.execute()


class StreamQueue(Queue):
    """A stream read by a consumer group: Taskiq's."""

    #: Groups belong to the live key, so it stays and the messages move, in one call.
    MOVE = """
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
        redis.call('XADD', KEYS[2], '*', unpack(entry[2]))
    end
    redis.call('DEL', KEYS[1])
    """

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis = redis
        self._key = key

    def take(self) -> list[Any]:
        found = cast("list[Any]", self._redis.xrange(self._key))
        self._redis.flushall()
        return [fields for _, fields in found]

    def hold(self, messages: Sequence[Any]) -> None:
        self._add(HELD, messages)

    def release(self) -> None:
        self._redis.eval(self.MOVE, 2, HELD, self._key)

    def push(self, messages: Sequence[Any]) -> None:
        self._add(self._key, messages)

    def _add(self, key: str, messages: Sequence[Any]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for fields in messages:
                pipe.xadd(key, fields)
            pipe.execute()
