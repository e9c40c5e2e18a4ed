"""What the main process hands to a child, and what comes back.

Both cross a pipe as pickles, so what most jobs need travels in plain lists;
only jobs with something special about them have an object of their own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
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
    #: Its target is locked or in trouble; nothing was written, try later.
    LATER = "later"
    #: Another transaction runs this very job just now; ask again when it has ended.
    TAKEN = "taken"
    #: PostgreSQL is in trouble; nothing was written, nothing is counted.
    WAIT = "wait"
    #: Its time is far off: it waits in the outbox now, and comes again.
    POSTPONED = "postponed"
    #: It was not begun, or the worker stops; what is done stays done, the rest goes first.
    GIVEN_BACK = "given back"
    #: It takes long: it goes on by itself, in transactions of its own. Never the end of a delivery.
    WORKING = "working"


@dataclass(frozen=True, slots=True)
class Remarks:
    """What is special about one job of a parcel.

    ``cancelled`` says why the job must not start if it has not committed yet,
    ``buried`` why it can never succeed. Without ``may_wait`` a job whose
    target is locked is held in PostgreSQL instead of waiting in the worker;
    without ``has_room`` also one that waits for what passes by itself.
    One that ``takes_long`` was tried in company before.
    """

    attempts: int = 1
    may_wait: bool = True
    cancelled: str | None = None
    buried: str | None = None
    takes_long: bool = False
    waited_seconds: float = 0.0
    aside_seconds: float = 0.0
    has_room: bool = True


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch on its way to a child: jobs of one task, in order of arrival.

    A body of type ``str`` is the base64 text that the message carried, still
    to be decoded; one of type ``bytes`` is the body itself. ``remarks`` are by
    position; a job without any is ordinary.
    """

    task: str
    ids: list[str]
    bodies: list[str | bytes]
    remarks: Mapping[int, Remarks] = field(default_factory=dict)
    #: Positions of the jobs that came by the outbox.
    relayed: Collection[int] = ()
    #: Whether a job that turns out to take long may go on at once, or has to wait for its turn.
    may_go_on: bool = True


@dataclass(frozen=True, slots=True)
class Delivery:
    """One job of a parcel, its body decoded but unread; what the careful path works on."""

    id: str
    task: str
    body: bytes
    attempts: int = 1
    may_wait: bool = True
    cancelled: str | None = None
    buried: str | None = None
    is_relayed: bool = False
    takes_long: bool = False
    waited_seconds: float = 0.0
    aside_seconds: float = 0.0
    has_room: bool = True


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one delivery ended, decided by the ledger; ``subject`` as far as it was read."""

    id: str
    fate: Fate
    result: Mapping[str, Any] | None = None
    error: str | None = None
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """How the jobs of a parcel ended, by position.

    A job that is not in ``settlements`` committed with all its rows inserted:
    ``rows`` has their number for every position (0 where it is not known).
    ``timeouts`` counts the times PostgreSQL let statements of this batch run
    out of time; ``seconds`` go from start to COMMIT.
    """

    rows: list[int]
    settlements: Mapping[int, Settlement]
    seconds: float
    timeouts: int = 0


def summary(accounts: Mapping[str, int]) -> dict[str, int]:
    """Return a job's result: its rows, and how they ended; what is zero only if expected."""
    result = {"rows": sum(accounts.values())}
    result["inserted"] = accounts["inserted"]
    result |= {name: count for name, count in accounts.items() if count and name not in result}
    result["quarantined"] = accounts["quarantined"]
    return result


def whole_result(rows: int) -> dict[str, int]:
    """Return the result of a job that committed with all its rows inserted."""
    return summary({"inserted": rows, "quarantined": 0})
