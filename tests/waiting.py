"""Wait for something to come true, and judge how long it took: the tests sleep here alone."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

#: A host may stand still for long; where things go well, patience costs nothing.
PATIENCE_SECONDS = 60.0
SHORTEST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.1
#: Of the time waited so far. Looking costs a connection often, and time of the processor.
PAUSE_SHARE = 0.1


def wait_for(
    condition: Callable[[], Value], seconds: float = PATIENCE_SECONDS, what: str = ""
) -> Value:
    """Return the condition's first true value; fail, saying what, after the deadline.

    The last look begins after the deadline: a host that stood still hurts nobody.
    """
    began, waited = time.monotonic(), 0.0
    while not (value := condition()):
        if waited > seconds:
            raise AssertionError(f"waited {seconds:g} s in vain for {what or condition!r}")
        pause = max(SHORTEST_PAUSE_SECONDS, waited * PAUSE_SHARE)
        time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
        waited = time.monotonic() - began
    return value


def least_seconds(attempt: Callable[[], object], below: float, attempts: int = 20) -> float:
    """Return the seconds of the quickest attempt; the first below the bound is the last.

    A host that stands still makes some of them long; what is slow by itself is so in all.
    """
    least = float("inf")
    for _ in range(attempts):
        began = time.monotonic()
        attempt()
        least = min(least, time.monotonic() - began)
        if least < below:
            break
    return least
