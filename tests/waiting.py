"""Wait for something to come true: the one place of the tests that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

POLL_SECONDS = 0.02


def wait_for(condition: Callable[[], Value], seconds: float = 10.0, what: str = "") -> Value:
    """Return the condition's first true value; fail, saying what, after the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what or condition!r}")
        time.sleep(POLL_SECONDS)
    return value
