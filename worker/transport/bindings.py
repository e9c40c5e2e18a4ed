"""Bind queues as kombu does, and let no full server keep a worker from its jobs.

A binding says which queue gets what is published to an exchange. Jobs are
taken from lists, remote control comes by pub/sub: neither needs one. Whoever
empties the memory must not be turned away because it is full.
"""

from typing import Any

from kombu.transport import redis
from redis.exceptions import OutOfMemoryError

from worker import events


class Channel(redis.Channel):  # type: ignore[misc]  # kombu has no types
    """kombu's channel; what a full server refuses to bind is bound when there is room."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._unbound: list[tuple[Any, ...]] = []
        self._was_refused = False
        super().__init__(*args, **kwargs)

    def _queue_bind(self, *binding: Any) -> None:
        try:
            super()._queue_bind(*binding)
        except OutOfMemoryError as error:
            self._unbound.append(binding)
            self._note_refusal(error)

    def maybe_refresh_binding_expiry(self) -> None:
        """Bind what is not bound yet, and keep alive what is; the loop calls this each second."""
        try:
            while self._unbound:
                super()._queue_bind(*self._unbound[-1])
                self._unbound.pop()
            super().maybe_refresh_binding_expiry()
        except OutOfMemoryError as error:
            self._note_refusal(error)
            return
        if self._was_refused:
            self._was_refused = False
            self.connection.note_room()

    def _note_refusal(self, error: OutOfMemoryError) -> None:
        self._was_refused = True
        self.connection.note_full(str(error))


class Transport(redis.Transport):  # type: ignore[misc]  # kombu has no types
    """kombu's transport; says once that its server is full, and once that it is not."""

    _is_full = False

    def note_full(self, reason: str) -> None:
        """Say that the server refuses what takes memory, unless that is known."""
        if not self._is_full:
            self._is_full = True
            events.broker_full(reason=reason)

    def note_room(self) -> None:
        """Say that the server has room again, unless that is known."""
        if self._is_full:
            self._is_full = False
            events.broker_has_room()
