"""What relays read and write in PostgreSQL: claims on due jobs, and their own epochs.

An epoch is one life of one relay. Its pushes are numbered, and every job says
with which push of which epoch it went to Redis; Redis keeps the number of the
last push that it saw. Jobs with a higher number are those it does not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postgres.errors import Phase, refusals
from postgres.statements import statement
from postgres.transaction import Lender, single_statement, transaction

#: Jobs that are made due again at a time: their workers wait for it meanwhile.
FREED_JOBS = 5_000


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job to be pushed; ``kwargs``, ``body`` and ``options`` are JSON text."""

    id: str
    task: str
    kwargs: str | None
    body: str | None
    options: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The jobs of one push, in order; ``newest`` is how far in time everything due was seen."""

    push: int
    jobs: Sequence[DueJob]
    newest: datetime


@dataclass(frozen=True, slots=True)
class Epoch:
    """What PostgreSQL knows of an epoch; ``remembered`` is None until its closing is done."""

    epoch: str
    relay: str
    claimed: int
    remembered: int | None
    is_closed: bool
    silent_seconds: float


def open_epoch(epoch: str, relay: str, pool: Lender) -> None:
    """Register an epoch that Redis knows already."""
    _execute("open_epoch", {"epoch": epoch, "relay": relay}, pool)


def beat(epoch: str, pool: Lender) -> None:
    """Say that the epoch's relay lives."""
    _execute("beat_epoch", {"epoch": epoch}, pool)


def read_epochs(pool: Lender) -> list[Epoch]:
    """Return all epochs of which jobs may be left."""
    return [Epoch(*row) for row in _execute("read_epochs", {}, pool)]


def claim_due(
    epoch: str, since: datetime | None, most_jobs: int, most_bytes: int, pool: Lender
) -> Claim:
    """Claim due jobs for the next push of the epoch, committed before anything is pushed.

    Takes one job at least, however large. Claims nothing for a closed epoch.
    Raises :class:`Refused`; with ``sqlstate`` None the claim may stand.
    """
    parameters = {
        "epoch": epoch,
        "since": since or "-infinity",
        "most_jobs": most_jobs,
        "most_bytes": most_bytes,
    }
    rows = _execute("claim_entries", parameters, pool)
    now, push, *_ = rows[0]
    if push is None:
        return Claim(0, [], now)
    return Claim(push, [DueJob(*row[3:]) for row in rows], rows[-1][2])


def close_epoch(epoch: str, remembered: int, pool: Lender) -> int:
    """Make those jobs of the epoch due again that went with a later push; return how many.

    Redis must have refused the epoch before. Die anywhere in here, and whoever
    closes it next goes on.
    """
    _execute("close_epoch", {"epoch": epoch}, pool)
    parameters = {"epoch": epoch, "remembered": remembered, "most_jobs": FREED_JOBS}
    freed, page = 0, FREED_JOBS
    while page:
        with transaction(pool) as cursor, refusals(Phase.RECORD):
            cursor.execute(statement("free_entries"), parameters)
            page = cursor.rowcount
        freed += page
    with transaction(pool) as cursor, refusals(Phase.RECORD):
        cursor.execute(statement("free_last_entries"), parameters)
        freed += cursor.rowcount
        cursor.execute(statement("note_remembered"), parameters)
    return freed


def retire_epochs(pool: Lender) -> list[str]:
    """Forget the closed epochs of which no job is left; return them."""
    return [epoch for (epoch,) in _execute("retire_epochs", {}, pool)]


def _execute(name: str, parameters: dict[str, Any], pool: Lender) -> list[tuple[Any, ...]]:
    with single_statement(pool) as cursor, refusals(Phase.COMMIT):
        cursor.execute(statement(name), parameters)
        return cursor.fetchall() if cursor.description else []
