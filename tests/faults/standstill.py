"""Let time pass in which nothing may happen, and processes stand still."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.waiting import wait_for


def let_pass(seconds: float) -> None:
    """Wait until a time is over: a fault lasts that long."""
    until = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() >= until, seconds + 10, f"{seconds:g} s to pass")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process stand still inside the context."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
