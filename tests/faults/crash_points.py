"""Points in a worker's code at which it kills itself, once for each token in a folder.

The test arms a point by a token; the process that reaches the point and gets
the token notes that in a log and dies by SIGKILL. Both sides use this module.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path

#: Environment variables of the workers; the prefix of settings would make them settings.
FOLDER = "FAULTS_FOLDER"
ORPHANS_LIVE = "FAULTS_ORPHANS_LIVE"
MUTANT = "FAULTS_MUTANT"

_KILLS, _CLAIMS = "kills.log", "claims.log"


class Point(StrEnum):
    """Where to die; the first six in a child, the others in the main process.

    The main process passes its points in this order: it has reserved messages,
    gathered a batch, handed it to a child, got it back, and settles it.
    """

    DELIVERED = "delivered"
    CLAIMED = "claimed"
    ISOLATING = "isolating"
    ROWS_WRITTEN = "rows-written"
    BEFORE_COMMIT = "before-commit"
    AFTER_COMMIT = "after-commit"
    RESERVED = "reserved"
    GATHERED = "gathered"
    HANDED_OVER = "handed-over"
    CAME_BACK = "came-back"
    ANSWERED = "answered"
    RESULTS_STORED = "results-stored"
    ANNOUNCED = "announced"
    ACKNOWLEDGED = "acknowledged"


class Victim(StrEnum):
    """Who dies when a point is reached; a parent only where the point is in a child."""

    SELF = "self"
    PARENT = "parent"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Kill:
    """One process that took a token, as it told before it died."""

    pid: int
    point: Point
    victim: Victim


class CrashPoints:
    """The tokens and logs of one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._numbers = count()

    def arm(self, point: Point, victim: Victim = Victim.SELF) -> None:
        """Let the next process that reaches the point die there."""
        (self._folder / f"{point}@{victim}.{next(self._numbers)}").touch()

    def disarm(self) -> int:
        """Take back every token that nobody took; return how many those were."""
        return sum(_take(token) for token in self._folder.glob("*@*"))

    def reach(self, point: Point, main_pid: int) -> None:
        """Die here if a token says so."""
        if os.getpid() != main_pid != os.getppid():
            return  # An orphan: who would be its parent now must not be killed.
        for name in os.listdir(self._folder):  # noqa: PTH208 - on every batch, so the cheap way
            if name.startswith(f"{point}@") and _take(self._folder / name):
                victim = Victim(name.partition("@")[2].partition(".")[0])
                self._append(_KILLS, [f"{os.getpid()} {point} {victim}"])
                _kill(victim)
                return

    def note_claims(self, verdicts: Iterable[tuple[str, str]]) -> None:
        """Note what the ledger answered for each job id."""
        self._append(_CLAIMS, [f"{verdict} {job}" for job, verdict in verdicts])

    def kills(self) -> list[Kill]:
        """Return who died so far, in order."""
        parts = [line.split() for line in self._lines(_KILLS)]
        return [Kill(int(pid), Point(point), Victim(victim)) for pid, point, victim in parts]

    def repeated_claims(self) -> int:
        """Count how often a job was asked for again, by a redelivery or another run."""
        times = Counter(line.partition(" ")[2] for line in self._lines(_CLAIMS))
        return times.total() - len(times)

    def known_claims(self) -> int:
        """Count how often the ledger answered that a job was committed before."""
        return sum(line.startswith("known ") for line in self._lines(_CLAIMS))

    def _append(self, name: str, lines: list[str]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file = os.open(self._folder / name, flags, 0o644)
        os.write(file, "".join(f"{line}\n" for line in lines).encode())
        os.close(file)

    def _lines(self, name: str) -> list[str]:
        log = self._folder / name
        # A writer may be killed in the middle; what follows its line's end is whole again.
        return log.read_text().split("\n")[:-1] if log.exists() else []


def _take(token: Path) -> bool:
    """Take a token, unless another process was faster."""
    with suppress(FileNotFoundError):
        token.unlink()
        return True
    return False


def _kill(victim: Victim) -> None:
    if victim is not Victim.SELF:
        os.kill(os.getppid(), signal.SIGKILL)
    if victim is not Victim.PARENT:
        os.kill(os.getpid(), signal.SIGKILL)
