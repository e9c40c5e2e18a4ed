"""Points on the way of a file job at which its child gets a signal; test and worker share this.

A token is a file in the folder, named after the point; the process that
reaches the point and gets the token dies, or stops until somebody wakes it.
"""

import os
import signal
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

#: Environment variable with the folder of the tokens.
FOLDER = "FAULTS_FOLDER"


class FilePoint(StrEnum):
    """Where to die, in the order in which a job passes."""

    DELIVERED = "delivered"
    CLAIMED = "claimed"
    OPENED = "opened"
    COPIED = "copied"
    STEP_TAKEN = "step-taken"
    STEP_COMMITTED = "step-committed"
    READ_TO_THE_END = "read-to-the-end"
    ENDED = "ended"
    END_COMMITTED = "end-committed"


def arm(folder: Path, point: FilePoint, number: int, what: signal.Signals) -> None:
    """Let the process that reaches the point the n-th time, from 1, get this signal there."""
    (folder / f"{point}.{number}.{what.name}").touch()


def is_armed(folder: Path) -> bool:
    """Whether there is a token that nobody took."""
    return any(folder.iterdir())


def reach(point: FilePoint) -> None:
    """Take a token of this point, and suffer it when its number has come down."""
    folder = Path(os.environ[FOLDER])
    for token in folder.glob(f"{point}.*"):
        _, number, name = token.name.split(".")
        with suppress(FileNotFoundError):
            if number != "1":
                token.rename(folder / f"{point}.{int(number) - 1}.{name}")
            else:
                token.unlink()
                os.kill(os.getpid(), signal.Signals[name])
