"""The scheduler with crash points: ``python -m tests.faults.planted_scheduler schedule``.

The product knows nothing of them: a function is wrapped from outside. The
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

from postgres import ticks
from worker.__main__ import main

TOKEN = "FAULTS_SCHEDULER_TOKEN"


class Moment(StrEnum):
    """When to die: a tick is due and nothing written, or it is committed and nobody knows."""

    BEFORE_COMMIT = "before-commit"
    AFTER_COMMIT = "after-commit"


def die_at(moment: Moment) -> None:
    """Die by SIGKILL if the token says this moment, and is still there."""
    token = Path(os.environ[TOKEN])
    with suppress(FileNotFoundError):
        if token.read_text() == moment:
            token.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def around_take(take: Callable[..., Any]) -> Callable[..., Any]:
    """Put one crash point in front of the statement, and one behind it."""

    @wraps(take)
    def wrapper(*args: Any) -> Any:
        die_at(Moment.BEFORE_COMMIT)
        answer = take(*args)
        die_at(Moment.AFTER_COMMIT)
        return answer

    return wrapper


if __name__ == "__main__":
    ticks.take = around_take(ticks.take)
    main(prog_name="planted scheduler")
