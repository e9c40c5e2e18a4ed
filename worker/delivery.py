"""What the main process hands to a child, and what comes back.

Both cross a pipe as pickles, so they are plain and small; bodies stay unread.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Fate(StrEnum):
    """How a delivered message is to be settled."""

    #: The ledger says committed, now or earlier.
    COMMITTED = "committed"
    DEAD = "dead"
    HELD = "held"
    CANCELLED = "cancelled"
    #: Another payload came under an id that was taken: buried under an id of its own.
    CONFLICT = "conflict"
    #: Its target is locked; nothing was written, try later.
    LATER = "later"
    #: Another transaction runs this very job just now; ask again when it has ended.
    TAKEN = "taken"
    #: PostgreSQL is in trouble; nothing was written, nothing is counted.
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to a child.

    ``cancelled`` says why the job must not start if it has not committed yet,
    ``buried`` why it can never succeed. Without ``may_wait`` a job whose
    target is locked is held in PostgreSQL instead of waiting here.
    """

    id: str
    task: str
    body: bytes
    attempts: int = 1
    may_wait: bool = True
    cancelled: str | None = None
    buried: str | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one delivery ended, decided by the ledger."""

    id: str
    fate: Fate
    result: Mapping[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The settlements of a batch, in its order, and the seconds from start to COMMIT."""

    settlements: list[Settlement]
    seconds: float
