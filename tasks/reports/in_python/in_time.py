"""End what a report computes once its time is over."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class OutOfTime(Exception):
    """Raised wherever the report computes just then."""

    def __str__(self) -> str:
        """Say what happened: who raises it from outside can give it no words."""
        return "it computed past its timeout"


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Raise :class:`OutOfTime` inside, once, if it takes longer.

    It comes between two steps of Python's, in whichever thread this is; not
    within a call of a library in C, but when that returns.
    """
    clock = _Clock(threading.get_ident())
    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), clock.strike)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        clock.stop()


class _Clock:
    """Strikes once, or never any more."""

    def __init__(self, thread: int) -> None:
        self._thread = thread
        self._is_over = False
        # Guards the flag: after stop() nothing may be raised in whatever runs then.
        self._lock = threading.Lock()

    def strike(self) -> None:
        with self._lock:
            if not self._is_over:
                _raise_in(self._thread, OutOfTime)

    def stop(self) -> None:
        with self._lock:
            self._is_over = True
            _raise_in(self._thread, None)


def _raise_in(thread: int, exception: type[Exception] | None) -> None:
    """Have a thread raise it at its next step; None takes back what it did not raise yet."""
    given = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), given)
