"""The relay with crash points: ``python -m tests.faults.planted_relay relay``.

The product knows nothing of them: a method is wrapped from outside. The
environment says where to die; the first to reach the point takes the token.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Any

from worker.__main__ import main
from worker.relay.memory import Memory

TOKEN = "FAULTS_RELAY_TOKEN"


class Moment(StrEnum):
    """When to die: claimed and not pushed, or pushed and nobody knows."""

    BEFORE_PUSH = "before-push"
    AFTER_PUSH = "after-push"


def die_at(moment: Moment) -> None:
    """Die by SIGKILL if the token says this moment, and is still there."""
    token = Path(os.environ[TOKEN])
    with suppress(FileNotFoundError):
        if token.read_text() == moment:
            token.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def around_push(push: Callable[..., Any]) -> Callable[..., Any]:
    """Put one crash point in front of the push, and one behind it."""

    @wraps(push)
    def wrapper(*args: Any, **options: Any) -> Any:
        die_at(Moment.BEFORE_PUSH)
        answer = push(*args, **options)
        die_at(Moment.AFTER_PUSH)
        return answer

    return wrapper


if __name__ == "__main__":
    Memory.push = around_push(Memory.push)  # type: ignore[method-assign]  # planted
    main(prog_name="planted relay")
