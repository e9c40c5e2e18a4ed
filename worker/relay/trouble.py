"""What a relay says while PostgreSQL or Redis is away: once, and again when it is back."""

import random
from collections.abc import Callable

from worker import events
from worker.retry import backoff_seconds


class Trouble:
    """Counts failures in a row, and words their beginning and their end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._postgres_since: float | None = None
        self._broker_since: float | None = None

    def with_postgres(self, error: Exception) -> float:
        """Note that PostgreSQL refused or is away; return how long to wait."""
        if self._postgres_since is None:
            self._postgres_since = self._clock()
            events.database_lost(reason=str(error))
        return self._pause()

    def with_broker(self, error: Exception) -> float:
        """Note that Redis refused or is away; return how long to wait."""
        if self._broker_since is None:
            self._broker_since = self._clock()
            events.relay_lost_broker(reason=str(error))
        return self._pause()

    def is_over(self) -> None:
        """Note a turn that went well."""
        self._failures = 0
        if self._postgres_since is not None:
            events.database_back(seconds=self._clock() - self._postgres_since)
        if self._broker_since is not None:
            events.broker_heard(seconds=self._clock() - self._broker_since)
        self._postgres_since = self._broker_since = None

    def _pause(self) -> float:
        self._failures += 1
        # Not for long: what is due waits, and one try costs little.
        return min(1.0, backoff_seconds(self._failures, random.random()))  # noqa: S311 - no secret
