"""TERM, INT and QUIT of a worker: obeyed one after the other, with next to nothing done at once.

Celery ends its whole pool inside its handler of QUIT, wherever the main thread
stands at that moment: with a lock in its hands, perhaps, or in the middle of
another signal, and then it waits for itself for ever. Here children are killed
and a wish is noted; the main thread comes to its end by its own way.
"""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from billiard.common import REMAP_SIGTERM
from celery.platforms import EX_FAILURE
from celery.worker import state

from worker.last_resort import LastResort

#: Those that do not wait for what runs. In the environments that Celery's variable is made for,
#: nothing but TERM can be sent.
_COLD = {signal.SIGQUIT} | ({signal.SIGTERM} if REMAP_SIGTERM == "SIGQUIT" else set())


class Stoppable(Protocol):
    """Whose running batches can be ended."""

    def cancel_active_requests(self) -> None:
        """Kill the children that have a batch."""


class StopSignals:
    """What the main process of a worker does when it is asked to stop."""

    def __init__(
        self, consumer: Stoppable, last_resort: LastResort, announce_cold: Callable[[int], object]
    ) -> None:
        self._consumer = consumer
        self._last_resort = last_resort
        #: Told, with the exit status, when a worker stops cold; Celery says itself that one stops.
        self._announce_cold = announce_cold
        self._pid = os.getpid()
        self._celerys: dict[int, Any] = {}
        self._heard: deque[int] = deque()
        self._is_obeying = self._was_interrupted = self._was_asked = False

    def install(self) -> None:
        """Hear them from now on, in Celery's place; in the main thread, once Celery listens."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self._celerys[number] = signal.signal(number, self._hear)

    def _hear(self, number: int, frame: object) -> None:
        if os.getpid() != self._pid:
            return  # A child that was forked a moment ago, and has no handler of its own yet.
        is_cold = number in _COLD or (number == signal.SIGINT and self._was_interrupted)
        # Before anything else: whatever comes in between, the end comes.
        self._last_resort.ask(hurry=is_cold or self._was_asked)
        self._was_asked = True
        self._heard.append(-number if is_cold else number)
        self._was_interrupted |= number == signal.SIGINT
        # Not inside each other: the second would find what the first has half done. Who comes
        # while another is obeyed has its turn after it; looked at anew when that is over.
        while self._heard and not self._is_obeying:
            self._is_obeying = True
            try:
                self._obey(self._heard.popleft(), frame)
            finally:
                self._is_obeying = False

    def _obey(self, number: int, frame: object) -> None:
        if number < 0:
            self._stop_cold()
            return
        self._celerys[number](number, frame)
        # Celery has put a handler of its own there, for the next one.
        signal.signal(signal.SIGINT, self._hear)

    def _stop_cold(self) -> None:
        # First: no child gets a batch any more, and whose child dies is given back as it was.
        state.should_terminate = EX_FAILURE
        self._consumer.cancel_active_requests()
        _say("worker: Cold shutdown (MainProcess)")
        self._announce_cold(EX_FAILURE)


def _say(text: str) -> None:
    """Say what Celery says, past the log, whose lock may be held."""
    if sys.__stdout__ is not None:
        with suppress(OSError, ValueError):
            os.write(sys.__stdout__.fileno(), f"\n{text}\n".encode())
