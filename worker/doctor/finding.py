"""What the doctor found: a sentence, how bad it is, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad a finding is; also the exit status of a visit that found nothing worse."""

    #: Jobs run, and nothing threatens them.
    OK = 0
    #: Jobs run; something should be looked at before it becomes a problem.
    WARNING = 1
    #: Jobs do not run, or may be lost.
    PROBLEM = 2

    @property
    def word(self) -> str:
        """The level as it is shown."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``remedy`` is the command or the step that mends it."""

    about: str
    level: Level
    sentence: str
    remedy: str | None = None


def ok(about: str, sentence: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(about, Level.OK, sentence)


def warning(about: str, sentence: str, remedy: str) -> Finding:
    """Return a finding that should be looked at."""
    return Finding(about, Level.WARNING, sentence, remedy)


def problem(about: str, sentence: str, remedy: str) -> Finding:
    """Return a finding that has to be mended."""
    return Finding(about, Level.PROBLEM, sentence, remedy)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the level of the worst of them."""
    return max((one.level for one in findings), default=Level.OK)
