"""What Redis remembers of the relays' pushes: ``celeriac:relay:<epoch>:seq`` for each epoch.

Its value is the number of the epoch's last push, with `` closed`` behind it
once the epoch takes no more. It is written by the very script that pushes:
whatever makes Redis forget messages takes the number back with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from redis import Redis

from celeriac.contract import INGEST, QUEUES

_PUSH = (files("worker.relay") / "push.lua").read_text(encoding="utf-8")
_CLOSE = (files("worker.relay") / "close.lua").read_text(encoding="utf-8")

#: A new epoch that comes to no push leaves nothing behind.
_UNUSED_SECONDS = 24 * 3600
_CLOSED = " closed"
#: Its workers bury a task that nobody carries out, with words.
_FALLBACK = QUEUES[INGEST]


@dataclass(frozen=True, slots=True)
class Seen:
    """The last push of an epoch that Redis knows of, and whether it takes more."""

    push: int
    is_closed: bool


class Memory:
    """The part of Redis in which pushes are counted."""

    def __init__(self, redis: Redis, key_prefix: str) -> None:
        self._redis = redis
        self._prefix = key_prefix

    def open(self, epoch: str) -> None:
        """Begin an epoch: its next push is the first."""
        self._redis.set(self._key(epoch), "0", ex=_UNUSED_SECONDS)

    def push(
        self,
        epoch: str,
        number: int,
        messages: Mapping[str, Sequence[bytes]],
        *,
        again: bool = False,
    ) -> bool:
        """Push messages, by queue list, once; False if Redis knows the epoch otherwise.

        Safe to repeat with ``again`` after an error: nobody knows then whether they arrived.
        """
        keys = [self._key(epoch), *(self._prefix + queue for queue in (_FALLBACK, *messages))]
        values: list[bytes | int] = [number, int(again)]
        for queued in messages.values():
            values += [len(queued), *queued]
        return bool(self._redis.eval(_PUSH, len(keys), *keys, *values))

    def close(self, epoch: str) -> int:
        """Take no more pushes of the epoch; return the last that Redis knows of, or 0."""
        return int(self._redis.eval(_CLOSE, 1, self._key(epoch)))

    def read(self, epochs: Sequence[str]) -> dict[str, Seen | None]:
        """Return what Redis knows of these epochs; None for one that it forgot."""
        if not epochs:
            return {}
        values = self._redis.mget([self._key(epoch) for epoch in epochs])
        return dict(zip(epochs, map(_seen, values), strict=True))

    def forget(self, epochs: Sequence[str]) -> None:
        """Drop what is known of epochs of which no job is left."""
        if epochs:
            self._redis.delete(*(self._key(epoch) for epoch in epochs))

    def _key(self, epoch: str) -> str:
        return f"{self._prefix}celeriac:relay:{epoch}:seq"


def _seen(value: bytes | str | None) -> Seen | None:
    if value is None:
        return None
    text = value.decode() if isinstance(value, bytes) else value
    return Seen(int(text.removesuffix(_CLOSED)), text.endswith(_CLOSED))
