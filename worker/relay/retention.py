"""Forget what is older than the dedupe horizon, little by little, beside the relay's own work."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from postgres.errors import PostgresError
from postgres.pool import Pool
from postgres.purge import Horizon, Purged, purge
from postgres.transaction import Lender, transaction
from worker import events

#: A sweep through the ledger begins so long after the last one ended.
SWEEP_PAUSE_SECONDS = 3600.0
#: After trouble of any sort; nothing here is urgent.
TROUBLE_PAUSE_SECONDS = 60.0
#: Between slices of a sweep: this many times as long as the last slice took.
_REST = 4
_LEAST_PAUSE_SECONDS = 0.05
_JOIN_SECONDS = 15.0


@dataclass(slots=True)
class Retention:
    """Sweeps the ledger for ever; several on one database share the work."""

    horizon: Horizon
    pool: Lender
    clock: Callable[[], float] = time.monotonic
    _page: int = field(default=0, init=False)
    _jobs: int = field(default=0, init=False)
    _entries: int = field(default=0, init=False)

    def run(self, stop: threading.Event) -> None:
        """Sweep until asked to stop; trouble is only said, it is for others to end it."""
        pause = 0.0
        while not stop.wait(pause):
            try:
                pause = self.turn()
            except PostgresError as error:
                events.purge_failed(reason=str(error))
                pause = TROUBLE_PAUSE_SECONDS

    def turn(self) -> float:
        """Forget in the next slice; return how long to wait before the one after it."""
        started = self.clock()
        with transaction(self.pool) as cursor:
            slice_ = purge(self.horizon, self._page, cursor)
        self._note(slice_)
        return pause_seconds(slice_.ends_a_sweep, self.clock() - started)

    def _note(self, slice_: Purged) -> None:
        self._page = slice_.next_page
        self._jobs += slice_.jobs
        self._entries += slice_.entries
        if slice_.ends_a_sweep:
            if self._jobs or self._entries:
                events.ledger_purged(jobs=self._jobs, entries=self._entries)
            self._jobs = self._entries = 0


def pause_seconds(ends_a_sweep: bool, slice_seconds: float) -> float:  # noqa: FBT001 - one fact
    """Return how long to rest: a sweep takes a fifth of one connection's time at most."""
    if ends_a_sweep:
        return SWEEP_PAUSE_SECONDS
    return max(_LEAST_PAUSE_SECONDS, _REST * slice_seconds)


@contextmanager
def retaining(horizon: Horizon, pool: Pool) -> Iterator[None]:
    """Run a retention in a thread with this pool for as long as the context lasts.

    A thread of its own: forgetting may take its time, pushing jobs may not.
    """
    stop = threading.Event()
    thread = threading.Thread(
        target=Retention(horizon, pool).run, args=(stop,), name="retention", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_JOIN_SECONDS)
        pool.close()
