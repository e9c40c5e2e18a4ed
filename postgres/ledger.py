"""Ask the ledger for jobs, and write into it how they ended.

The ledger's primary key is the fence: of two transactions that run one job,
the second waits for the first and then sees that it is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from psycopg2.extras import Json

from celeriac.contract import ACCOUNTS, State
from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.statements import statement

#: Rows may vanish while we wait for them: a purge, or a claim that was withdrawn.
_CLAIM_ROUNDS = 5

SERIALIZATION_FAILURE = "40001"


class Verdict(StrEnum):
    """The ledger's answer to a claim."""

    #: Ours to run; written as committed, in this transaction only.
    CLAIMED = "claimed"
    #: Ours to run; it was held, or under way, and goes back to that if it cannot run now.
    TAKEN_OVER = "taken over"
    #: Already ended (or held) with this very payload; settle it from the ledger.
    KNOWN = "known"
    #: The same id with another payload.
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Ask:
    """One job to claim, and the state in which it is to be written."""

    id: str
    task: str
    subject: str
    rows: int
    digest: str
    attempts: int
    state: State = State.COMMITTED
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger holds of a job that had ended before."""

    state: State
    rows: int
    accounts: Mapping[str, int]
    result: Any
    error: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer for one job; reason and target of a hold are set while a target of it is held.

    ``is_kept_for_another`` says of a conflict that the job with the other
    payload has not ended: what the outbox has under the id may be that one.
    ``was_under_way`` says of a job that was taken over that it was not held:
    a run of many transactions has it, or had it and died.
    """

    verdict: Verdict
    hold_reason: str | None = None
    entry: Entry | None = None
    held_target: str | None = None
    is_kept_for_another: bool = False
    was_under_way: bool = False


@dataclass(frozen=True, slots=True)
class Correction:
    """How a claimed job ended, where that differs from what the claim wrote."""

    id: str
    state: State
    accounts: Mapping[str, int] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    error: str | None = None
    payload: str | None = None


def claim(asks: Sequence[Ask], worker: str, cursor: Cursor) -> dict[str, Claim]:
    """Claim jobs with distinct ids; waits for others' open claims. Every id has an answer.

    Raises :class:`Refused` of phase ``claim``.
    """
    claims: dict[str, Claim] = {}
    with refusals(Phase.CLAIM):
        for _ in range(_CLAIM_ROUNDS):
            claims |= _ask(asks, worker, cursor)
            asks = [ask for ask in asks if ask.id not in claims]
            if not asks:
                return claims
    # What we waited for was gone when we looked, again and again: as good as a collision.
    raise Refused(
        f"the ledger's row of {asks[0].id!r} came and went",
        sqlstate=SERIALIZATION_FAILURE,
        phase=Phase.CLAIM,
    )


def _ask(asks: Sequence[Ask], worker: str, cursor: Cursor) -> dict[str, Claim]:
    """Claim once; an id whose row vanished in between is left out."""
    parameters: dict[str, Any] = {
        "ids": [ask.id for ask in asks],
        "tasks": [ask.task for ask in asks],
        "subjects": [ask.subject for ask in asks],
        "states": [ask.state.value for ask in asks],
        "rows": [ask.rows for ask in asks],
        "digests": [ask.digest for ask in asks],
        "attempts": [ask.attempts for ask in asks],
        "errors": [ask.error for ask in asks],
        "worker": worker,
    }
    cursor.execute(statement("claim_jobs"), parameters)
    claims = {row[0]: _claim(row) for row in cursor.fetchall()}
    unseen = [ask for ask in asks if _is_stale(claims[ask.id])]
    if unseen:
        claims = {id_: one for id_, one in claims.items() if not _is_stale(one)}
        claims.update(_read(unseen, cursor))
    return {id_: answer for id_, answer in claims.items() if answer is not None}


def _is_stale(answer: Claim | None) -> bool:
    """Whether somebody else committed what matters after our statement's snapshot was taken.

    A held job that could be taken over was not: it ended while we waited for its row.
    """
    return answer is None or (answer.entry is not None and answer.entry.state is State.HELD)


def record(corrections: Sequence[Correction], cursor: Cursor) -> None:
    """Correct the ledger rows of jobs that did not simply insert all their rows."""
    if not corrections:
        return
    parameters: dict[str, Any] = {
        name: [one.accounts.get(name, 0) for one in corrections] for name in ACCOUNTS
    }
    parameters |= {
        "ids": [one.id for one in corrections],
        "states": [one.state.value for one in corrections],
        "results": [None if one.result is None else Json(one.result) for one in corrections],
        "errors": [one.error for one in corrections],
        "payloads": [one.payload for one in corrections],
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("record_outcomes"), parameters)


def forget(ids: Sequence[str], cursor: Cursor) -> None:
    """Withdraw claims of this transaction, as if they had never been asked for."""
    if ids:
        with refusals(Phase.RECORD):
            cursor.execute(statement("forget_claims"), {"ids": list(ids)})


def _read(asks: Sequence[Ask], cursor: Cursor) -> dict[str, Claim | None]:
    parameters = {"ids": [ask.id for ask in asks], "digests": [ask.digest for ask in asks]}
    cursor.execute(statement("read_jobs"), parameters)
    return {row[0]: _claim(row) for row in cursor.fetchall()}


def _claim(row: tuple[Any, ...]) -> Claim | None:
    _, is_new, held_target, hold_reason, state, same_digest, rows, *accounts, result, error = row
    if is_new is not None:
        verdict = Verdict.CLAIMED if is_new else Verdict.TAKEN_OVER
        # What this statement's snapshot does not show began in the meantime.
        was_under_way = not is_new and state != State.HELD
        return Claim(verdict, hold_reason, None, held_target, was_under_way=was_under_way)
    if state is None:
        return None
    if not same_digest:
        is_open = state in (State.HELD, State.WORKING)
        return Claim(Verdict.CONFLICT, is_kept_for_another=is_open)
    counts = dict(zip(ACCOUNTS, accounts, strict=True))
    return Claim(Verdict.KNOWN, entry=Entry(State(state), rows, counts, result, error))
