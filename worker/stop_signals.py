"""TERM, INT and QUIT of a worker: obeyed one after the other, with next to nothing done at once.

Celery ends its whole pool inside its handler of QUIT, wherever the main thread
stands at that moment: with a lock in its hands, perhaps, or in the middle of
another signal, and then it waits for itself for ever. Its handler of INT puts
that one in place of itself. Here children are killed and a wish is noted; the
main thread comes to its end by its own way.
"""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from billiard.common import REMAP_SIGTERM
from celery.platforms import EX_FAILURE, EX_OK
from celery.utils.log import in_sighandler
from celery.worker import state

from worker import events
from worker.last_resort import LastResort

#: Those that do not wait for what runs. In the environments that Celery's variable is made for,
#: nothing but TERM can be sent.
_COLD = {signal.SIGQUIT} | ({signal.SIGTERM} if REMAP_SIGTERM == "SIGQUIT" else set())

#: Celery's words.
_AGAIN = "worker: Hitting Ctrl+C again will initiate cold shutdown, terminating all running tasks!"


class Stoppable(Protocol):
    """Whose running batches can be ended."""

    def cancel_active_requests(self) -> None:
        """Kill the children that have a batch."""


class StopSignals:
    """What the main process of a worker does when it is asked to stop."""

    def __init__(
        self, consumer: Stoppable, last_resort: LastResort, announce: Callable[..., object]
    ) -> None:
        self._consumer = consumer
        self._last_resort = last_resort
        #: Told what Celery tells those who ask for it: ``sig``, ``how`` and ``exitcode``.
        self._announce = announce
        self._pid = os.getpid()
        self._heard: deque[int] = deque()
        self._is_obeying = self._was_interrupted = self._was_asked = False

    def install(self) -> None:
        """Hear them from now on, in Celery's place; in the main thread, once Celery listens."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: object) -> None:
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
                self._obey_next()
            except Exception as error:  # noqa: BLE001 - it would come out anywhere in the main thread
                events.stop_failed(reason=repr(error))
            finally:
                self._is_obeying = False

    def _obey_next(self) -> None:
        if not self._heard:
            return  # Another came just before, and had both turns.
        number = self._heard.popleft()
        with in_sighandler():
            if number < 0:
                self._stop_cold()
            else:
                self._stop_warm(signal.Signals(number))

    def _stop_warm(self, sig: signal.Signals) -> None:
        is_interrupt = sig == signal.SIGINT
        # First, as below: what comes next may fail, or wait for whoever reads what is said.
        state.should_stop = EX_FAILURE if is_interrupt else EX_OK
        if is_interrupt:
            _say(_AGAIN)
        _say("worker: Warm shutdown (MainProcess)")
        self._announce(sig=sig.name, how="Warm", exitcode=state.should_stop)

    def _stop_cold(self) -> None:
        # First: no child gets a batch any more, and whose child dies is given back as it was.
        state.should_terminate = EX_FAILURE
        self._consumer.cancel_active_requests()
        _say("worker: Cold shutdown (MainProcess)")
        self._announce(sig="SIGQUIT", how="Cold", exitcode=EX_FAILURE)


def _say(text: str) -> None:
    """Say what Celery says, past the log, whose lock may be held."""
    if sys.__stdout__ is not None:
        with suppress(OSError, ValueError):
            os.write(sys.__stdout__.fileno(), f"\n{text}\n".encode())
