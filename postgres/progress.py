"""Jobs of many transactions: who runs one, how far it is, and the fence between two runs.

Correct by the fence alone: a step moves the job's row in ``job_progress`` from
the step before, for the run that wrote its name there last. The advisory lock
only keeps a second run from starting beside a living one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg2.extras import Json

from celeriac.contract import ACCOUNTS, State
from postgres import Cursor
from postgres.errors import Phase, PostgresError, refusals
from postgres.statements import statement

#: First half of the advisory locks' keys; the second is a hash of the job's id.
_LOCK_SPACE = 0x63656C66


class Overtaken(PostgresError):
    """Another run has the job, or the ledger says that it ended: nothing of this step counts."""


class SubjectHeld(PostgresError):
    """The job's target was held meanwhile; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a job has come: all of it is committed."""

    step: int
    position: Any
    accounts: Mapping[str, int] = field(default_factory=dict)
    done_bytes: int = 0
    total_bytes: int | None = None

    @property
    def rows(self) -> int:
        """The rows that are accounted for; of a job that only reads, those it says it has read."""
        told = self.position.get("rows", 0) if isinstance(self.position, dict) else 0
        return sum(self.accounts.values()) + int(told)


def claim_run(job_id: str, silent_seconds: float, cursor: Cursor) -> tuple[bool, State | None]:
    """Keep others from running the job as long as this session lives; False if one does.

    Ends the other's session if it said nothing for so long: then the next
    try succeeds. Also returns the job's state in the ledger, None if unknown.
    """
    key: dict[str, Any] = {"space": _LOCK_SPACE, "job_id": job_id}
    with refusals(Phase.CLAIM):
        cursor.execute(statement("claim_run"), key)
        ((is_ours, state),) = cursor.fetchall()
        if not is_ours:
            key["silent_seconds"] = silent_seconds
            cursor.execute(statement("end_silent_run"), key)
    return is_ours, State(state) if state else None


def say_alive(cursor: Cursor) -> None:
    """Keep a session that has nothing to do just now from being taken for a silent one."""
    with refusals(Phase.ROWS):
        cursor.execute(statement("say_alive"))


def begin_run(job_id: str, run: str, cursor: Cursor) -> Place:
    """Make this run the one that may take steps; return where the job was left."""
    with refusals(Phase.CLAIM):
        cursor.execute(statement("begin_run"), {"job_id": job_id, "run": run})
        ((step, position, *accounts, done_bytes, total_bytes),) = cursor.fetchall()
    counts = dict(zip(ACCOUNTS, accounts, strict=True))
    return Place(step, position, counts, done_bytes, total_bytes)


def take_step(job_id: str, run: str, before: Place, after: Place, cursor: Cursor) -> None:
    """Move the job's place in the open transaction.

    Raises :class:`Overtaken` or :class:`SubjectHeld`; the transaction must then
    be rolled back.
    """
    parameters: dict[str, Any] = {
        name: after.accounts.get(name, 0) - before.accounts.get(name, 0) for name in ACCOUNTS
    }
    parameters |= {
        "job_id": job_id,
        "run": run,
        "step": before.step,
        "position": Json(after.position),
        "done_bytes": after.done_bytes,
        "total_bytes": after.total_bytes,
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("take_step"), parameters)
        moved = cursor.fetchone()
    if moved is None:
        raise Overtaken(f"job {job_id!r} went on without this run: its step counts for nothing")
    if moved[0] is not None:
        raise SubjectHeld(moved[0])


def end_run(  # noqa: PLR0913 - the fields of one ledger row
    job_id: str,
    run: str,
    state: State,
    cursor: Cursor,
    *,
    result: Mapping[str, Any] | None = None,
    error: str | None = None,
    payload: str | None = None,
) -> None:
    """Write into the ledger how the job ended, with the accounts of all its steps.

    Raises :class:`Overtaken` if another run has it, or it ended already.
    """
    parameters = {
        "job_id": job_id,
        "run": run,
        "state": state.value,
        "result": None if result is None else Json(result),
        "error": error,
        "payload": payload,
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("end_run"), parameters)
    if cursor.rowcount != 1:
        raise Overtaken(f"job {job_id!r} went on without this run: its end counts for nothing")


def count_steps(ids: list[str], cursor: Cursor) -> None:
    """Give jobs that were ended from outside the accounts of the steps that they took."""
    if ids:
        with refusals(Phase.RECORD):
            cursor.execute(statement("count_steps"), {"ids": ids})
