"""Wait for something to come true: the one place of the tests that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

SHORTEST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.1
#: Of the time waited so far. Looking costs a connection often, and time of the processor.
PAUSE_SHARE = 0.1


def wait_for(condition: Callable[[], Value], seconds: float = 10.0, what: str = "") -> Value:
    """Return the condition's first true value; fail, saying what, after the deadline."""
    began = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"waited {seconds:g} s in vain for {what or condition!r}")
        pause = max(SHORTEST_PAUSE_SECONDS, waited * PAUSE_SHARE)
        time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
    return value
