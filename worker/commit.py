"""Commit a batch: claim, run, record, all in one transaction of a child."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from celeriac.contract import ACCOUNTS, State
from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.holds import hold
from postgres.ledger import Claim, Correction, Verdict, claim, forget, record
from postgres.outbox import remove, remove_kept
from postgres.progress import count_steps
from postgres.replay import close_replays, count_replaying
from postgres.transaction import Lender, transaction
from tasks.kind import Counts, Job, Kind, Outcome, Waits
from worker.accept import Accepted, conflicting
from worker.child import Child
from worker.delivery import Delivery, Fate, Settlement
from worker.ends import settled_before, settlement_of
from worker.group import Group, count_in_groups, refuse_members

_OURS = (Verdict.CLAIMED, Verdict.TAKEN_OVER)

#: How jobs wait that are put into a lane in the main process.
_WITH_OTHERS = (Waits.WITH_ITS_SUBJECT, Waits.AS_LONG_AS_IT_TAKES)

#: Of a replay that comes after its rows went another way.
_NOT_WAITED_FOR = "the quarantine has no rows that wait for this replay: replay them anew"


def commit(
    batch: Sequence[Accepted], child: Child, lender: Lender | None = None
) -> list[Settlement]:
    """Commit one batch in one transaction, and say how each of its jobs ended, in order.

    All outcomes are recorded or none is: an exception means that nothing was
    written, or that COMMIT's answer was lost. Deliver the same batch again;
    what was committed settles from the ledger. A job of many transactions is
    only claimed here.
    """
    accepted, repeated = _distinct(batch)
    with transaction(lender or child.pool) as cursor:
        claims = claim([one.ask for one in accepted], child.worker, cursor)
        outcomes = _run(accepted, claims, child, cursor)
        outcomes = [_impatient(one, accepted, claims) for one in outcomes]
        _record(outcomes, accepted, claims, cursor)
        under_way = _ended_under_way(outcomes, accepted, claims, child)
        count_steps(_ended_by_others(under_way, outcomes), cursor)
        bury_conflicts([*_in_conflict(accepted, claims), *repeated], child, cursor)
        close_replays([one.job_id for one in outcomes], cursor)
        count_in_groups(_committed_members(outcomes, accepted), cursor)
        remove(_relayed(batch, claims, outcomes), cursor)
        remove_kept([(one.ask.id, one.message) for one in under_way], cursor)
    settled = settled_before(accepted, claims)
    settled |= {one.job_id: settlement_of(one) for one in outcomes}
    return [_settlement(one.delivery, settled, repeated) for one in batch]


def _distinct(accepted: Iterable[Accepted]) -> tuple[list[Accepted], list[Accepted]]:
    """Split off deliveries that repeat an id of this batch with another payload."""
    first: dict[str, Accepted] = {}
    conflicts = []
    for one in accepted:
        known = first.setdefault(one.ask.id, one)
        if known.ask.digest != one.ask.digest:
            conflicts.append(one)
    return list(first.values()), conflicts


def _run(
    accepted: Sequence[Accepted], claims: Mapping[str, Claim], child: Child, cursor: Cursor
) -> list[Outcome]:
    """Run the claimed jobs of the batch, all of one kind; others have their outcome already."""
    outcomes, jobs, kind = [], [], None
    replaying = count_replaying([one.ask.id for one in accepted], cursor)
    misfits = refuse_members(_claimed_members(accepted, claims), cursor)
    for one in accepted:
        answer = claims[one.ask.id]
        if answer.verdict not in _OURS:
            continue
        if one.job is None or one.ask.state not in (State.COMMITTED, State.WORKING):
            outcomes.append(Outcome(one.ask.id, one.ask.state, error=one.ask.error))
        elif one.ask.id in misfits:
            outcomes.append(Outcome(one.ask.id, State.DEAD, error=misfits[one.ask.id]))
        elif answer.hold_reason is not None:
            outcomes.append(_held(one.ask.id, answer))
        elif replaying.get(one.ask.id, one.ask.rows) != one.ask.rows:
            outcomes.append(Outcome(one.ask.id, State.DEAD, error=_NOT_WAITED_FOR))
        elif one.ask.state is State.WORKING or _has_a_run(one, answer, child):
            outcomes.append(Outcome(one.ask.id, State.WORKING))
        else:
            jobs.append(one.job)
            kind = child.kinds[one.delivery.task]
    return outcomes + (_run_kind(kind, jobs, cursor) if kind else [])


def _has_a_run(one: Accepted, answer: Claim, child: Child) -> bool:
    """Whether a run of many transactions has the job, or died with it.

    Its lock decides which, and only who goes step by step looks at that. Done
    here, the job would be done beside a living run.
    """
    return answer.was_under_way and _may_take_long(one, child)


def _claimed_members(
    accepted: Sequence[Accepted], claims: Mapping[str, Claim]
) -> list[tuple[str, Group]]:
    return [
        (one.ask.id, one.group)
        for one in accepted
        if one.group is not None
        and one.ask.state in (State.COMMITTED, State.WORKING)
        and claims[one.ask.id].verdict in _OURS
    ]


def _committed_members(outcomes: Sequence[Outcome], accepted: Sequence[Accepted]) -> list[Group]:
    """Return the groups of those jobs that this transaction commits, a job a group."""
    groups = {one.ask.id: one.group for one in accepted if one.group is not None}
    if not groups:
        return []
    committed = [one.job_id for one in outcomes if one.state is State.COMMITTED]
    return [groups[id_] for id_ in committed if id_ in groups]


def _held(id_: str, answer: Claim) -> Outcome:
    return Outcome(id_, State.HELD, error=answer.hold_reason, closes=answer.held_target)


def _run_kind(kind: Kind[Any], jobs: Sequence[Job[Any]], cursor: Cursor) -> list[Outcome]:
    # A kind may use the cursor bare: a connection lost there is no fault of its job.
    with refusals(Phase.ROWS):
        outcomes = kind.run(jobs, cursor)
    if sorted(one.job_id for one in outcomes) != sorted(job.id for job in jobs):
        raise RuntimeError(f"kind {kind.name} must return one outcome for each of its jobs")
    return outcomes


def _impatient(
    outcome: Outcome, accepted: Sequence[Accepted], claims: Mapping[str, Claim]
) -> Outcome:
    """Hold a job that may not wait in memory: it waited enough, or PostgreSQL had it already."""
    if outcome.state is not State.QUEUED or outcome.waits not in _WITH_OTHERS:
        return outcome
    delivery = next(one.delivery for one in accepted if one.ask.id == outcome.job_id)
    passes = outcome.waits is Waits.AS_LONG_AS_IT_TAKES
    may_wait = delivery.has_room if passes else delivery.may_wait
    if may_wait and claims[outcome.job_id].verdict is Verdict.CLAIMED:
        return outcome
    return replace(outcome, state=State.HELD)


def _record(
    outcomes: Sequence[Outcome],
    accepted: Sequence[Accepted],
    claims: Mapping[str, Claim],
    cursor: Cursor,
) -> None:
    by_id = {one.ask.id: one for one in accepted}
    undone = {one.job_id for one in outcomes if _is_undone(one, by_id[one.job_id])}
    new = {id_ for id_ in undone if claims[id_].verdict is Verdict.CLAIMED}
    forget(sorted(new), cursor)
    record(
        [
            # What the ledger knew before stays known: as under way, until it ends.
            _correction(replace(one, state=State.WORKING, error=None), by_id[one.job_id])
            if one.job_id in undone
            else _correction(one, by_id[one.job_id])
            for one in outcomes
            if one.job_id not in new and not _went_as_claimed(one, by_id[one.job_id])
        ],
        cursor,
    )
    for target, reason in _closures(outcomes, by_id).items():
        hold(target, reason, cursor)


def _is_undone(outcome: Outcome, accepted: Accepted) -> bool:
    """Whether the job runs again, and nothing of it was done."""
    if outcome.state is State.WORKING:
        return accepted.ask.state is not State.WORKING
    return outcome.state is State.QUEUED


def _went_as_claimed(outcome: Outcome, accepted: Accepted) -> bool:
    """Whether the ledger row that the claim wrote needs no correction."""
    if outcome.state in (State.CANCELLED, State.WORKING):
        return accepted.ask.state is outcome.state
    whole = outcome.counts == Counts(inserted=accepted.ask.rows)
    return outcome.state is State.COMMITTED and whole and outcome.result is None


def _ended_under_way(
    outcomes: Sequence[Outcome],
    accepted: Sequence[Accepted],
    claims: Mapping[str, Claim],
    child: Child,
) -> list[Accepted]:
    """Return the jobs of many transactions that end here, without a further step."""
    # One that the ledger did not know has taken no step yet.
    known = [one for one in accepted if claims[one.ask.id].verdict is Verdict.TAKEN_OVER]
    if not known:
        return []
    ended = {one.job_id for one in outcomes if one.state not in (State.WORKING, State.QUEUED)}
    return [one for one in known if one.ask.id in ended and _may_take_long(one, child)]


def _ended_by_others(under_way: Sequence[Accepted], outcomes: Sequence[Outcome]) -> list[str]:
    """Return those of which their steps did whatever is done; of others ``run`` gave account."""
    done_here = {one.job_id for one in outcomes if one.state is State.COMMITTED}
    return [one.ask.id for one in under_way if one.ask.id not in done_here]


def _may_take_long(one: Accepted, child: Child) -> bool:
    kind = child.kinds.get(one.delivery.task)
    return kind is not None and kind.may_take_long


def _correction(outcome: Outcome, accepted: Accepted) -> Correction:
    kept = outcome.state in (State.DEAD, State.HELD)
    return Correction(
        id=outcome.job_id,
        state=outcome.state,
        accounts={name: getattr(outcome.counts, name) for name in ACCOUNTS},
        result=outcome.result,
        error=outcome.error,
        payload=accepted.message if kept else None,
    )


def _closures(outcomes: Sequence[Outcome], by_id: Mapping[str, Accepted]) -> dict[str, str]:
    return {
        one.closes or by_id[one.job_id].ask.subject: one.error or ""
        for one in outcomes
        if one.state is State.HELD
    }


def _in_conflict(accepted: Sequence[Accepted], claims: Mapping[str, Claim]) -> list[Accepted]:
    return [one for one in accepted if claims[one.ask.id].verdict is Verdict.CONFLICT]


def bury_conflicts(conflicts: Sequence[Accepted], child: Child, cursor: Cursor) -> None:
    """Bury other payloads of taken ids, each under an id of its own; what was buried so stays."""
    if not conflicts:
        return
    asks = {ask.id: (ask, one) for one in conflicts for ask in [conflicting(one)]}
    claims = claim([ask for ask, _ in asks.values()], child.worker, cursor)
    new = [asks[id_] for id_, answer in claims.items() if answer.verdict is Verdict.CLAIMED]
    record(
        [Correction(ask.id, ask.state, error=ask.error, payload=one.message) for ask, one in new],
        cursor,
    )


def _relayed(
    batch: Sequence[Accepted], claims: Mapping[str, Claim], outcomes: Sequence[Outcome]
) -> list[str]:
    """Return the jobs that came by the outbox and have their end in the ledger now."""
    relayed = [one.ask.id for one in batch if one.delivery.is_relayed]
    if not relayed:
        return []
    unended = {one.job_id for one in outcomes if one.state in (State.QUEUED, State.WORKING)}
    unended |= {id_ for id_, answer in claims.items() if answer.is_kept_for_another}
    return [id_ for id_ in relayed if id_ not in unended]


def _settlement(
    delivery: Delivery, settled: Mapping[str, Settlement], repeated: Sequence[Accepted]
) -> Settlement:
    for one in repeated:
        if one.delivery is delivery:
            return Settlement(delivery.id, Fate.CONFLICT)
    answer = settled.get(delivery.id)
    if answer is None:
        # Buried under an id of ours, because its own cannot be stored.
        return Settlement(delivery.id, Fate.DEAD, error="the id cannot be stored")
    return answer
