"""Close a target for now, and open it again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement

_PAGE_JOBS = 500


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that waits in the ledger, with the message it came as."""

    id: str
    task: str
    payload: str


@dataclass(frozen=True, slots=True)
class HeldTarget:
    """A closed target, why, since when, and how many jobs wait for it."""

    target: str
    reason: str
    since: datetime
    jobs: int


def hold(target: str, reason: str, cursor: Cursor) -> None:
    """Close the target; a target that is closed already keeps its first reason."""
    with refusals(Phase.RECORD):
        cursor.execute(statement("hold_target"), {"target": target, "reason": reason})


def release(target: str, cursor: Cursor) -> bool:
    """Open the target; False if it was not held. Its jobs have to be enqueued again."""
    with refusals(Phase.RECORD):
        cursor.execute(statement("release_target"), {"target": target})
    return cursor.rowcount == 1


def held_targets(cursor: Cursor) -> list[HeldTarget]:
    """List the closed targets."""
    with refusals(Phase.READ):
        cursor.execute(statement("read_held_targets"))
        return [HeldTarget(*row) for row in cursor.fetchall()]


def held_jobs(target: str, cursor: Cursor) -> Iterator[list[HeldJob]]:
    """Page through the jobs that wait for a target, in the order of their ids."""
    after = ""
    while True:
        parameters = {"target": target, "after": after, "limit": _PAGE_JOBS}
        with refusals(Phase.READ):
            cursor.execute(statement("read_held_jobs"), parameters)
            page = [HeldJob(*row) for row in cursor.fetchall()]
        if not page:
            return
        yield page
        after = page[-1].id
