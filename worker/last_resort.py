"""End a worker that was asked to stop and does not come to its end.

A server that accepts everything and answers nothing, a lock that nobody gives
back: whatever the main thread waits for, this thread does not. Ended so, a
worker loses what one loses that is killed: nothing. Its jobs stay under its
lease, and others give them back when that has run out.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread

from celery.platforms import EX_FAILURE

from worker import events

_LOOK_SECONDS = 0.25
#: To say that it ends so; whoever holds the log up must not hold the end up.
_WORD_SECONDS = 1.0

_SHORTEST_SECONDS = 10.0
#: There is nobody who could be told anything.
_IN_VAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long an orderly end may take."""

    #: Once nothing runs any more.
    calm_seconds: float
    #: For whoever does not want to wait; and if the broker is silent, besides.
    hurried_seconds: float
    in_vain_seconds: float = _IN_VAIN_SECONDS

    def seconds(self, *, hurried: bool, in_vain: bool) -> float:
        """Return for how long to wait for the end."""
        if not hurried:
            return self.calm_seconds
        return self.in_vain_seconds if in_vain else self.hurried_seconds


def patience_of(lease_seconds: float) -> Patience:
    """Return how patient a worker with such a lease is: after it, others have its jobs anyway."""
    calm_seconds = max(_SHORTEST_SECONDS, lease_seconds)
    return Patience(calm_seconds, min(_SHORTEST_SECONDS, calm_seconds))


class LastResort:
    """A thread that waits for the wish to stop, and then for the end, but not for ever."""

    def __init__(
        self,
        patience: Patience,
        is_busy: Callable[[], bool],
        is_in_vain: Callable[[], bool],
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._patience = patience
        #: Whether batches run, for which a warm stop waits as long as they take.
        self._is_busy = is_busy
        self._is_in_vain = is_in_vain
        self._end = end
        self._is_hurried = False
        # A pipe: to write into it takes no lock, and a signal may come while one is held.
        self._wishes, self._wish = os.pipe()
        self._thread = Thread(target=self._run, name="last resort", daemon=True)

    def start(self) -> None:
        """Begin to wait for the wish."""
        self._thread.start()

    def ask(self, *, hurry: bool) -> None:
        """Note the wish to stop; to be called in a signal's handler, as often as it comes."""
        self._is_hurried = self._is_hurried or hurry
        os.write(self._wish, b"!")

    def _run(self) -> None:
        os.read(self._wishes, 1)
        waited_seconds, was_hurried = 0.0, self._is_hurried
        while waited_seconds < self._limit_seconds():
            # Looks are counted: a process that stands still itself has not waited.
            Event().wait(_LOOK_SECONDS)
            waited_seconds += _LOOK_SECONDS
            if self._is_hurried != was_hurried or (self._is_busy() and not self._is_hurried):
                waited_seconds, was_hurried = 0.0, self._is_hurried
        self._end_by_force(waited_seconds)

    def _limit_seconds(self) -> float:
        return self._patience.seconds(hurried=self._is_hurried, in_vain=self._is_in_vain())

    def _end_by_force(self, seconds: float) -> None:
        word = Thread(target=events.stop_forced, kwargs={"seconds": seconds}, daemon=True)
        word.start()
        word.join(_WORD_SECONDS)
        self._end(EX_FAILURE)
