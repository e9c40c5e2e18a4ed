"""Run a job of many transactions: claim it, take its steps, write its end into the ledger.

Runs in a child. One connection is kept for the whole run: its advisory lock
says that the run lives, and goes with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from celeriac.contract import State
from postgres import Connection, Cursor
from postgres.holds import hold
from postgres.outbox import Entry, enqueue, remove, remove_kept
from postgres.progress import Overtaken, Place, SubjectHeld, begin_run, claim_run, end_run
from postgres.transaction import transaction, transaction_on
from tasks.kind import Outcome
from tasks.long_kind import Last, LongKind, NotNow, Steps, Stopping, Unwanted
from worker.accept import Accepted
from worker.child import Child
from worker.commit import commit
from worker.delivery import Fate, Settlement, summary
from worker.group import count_in_groups
from worker.torn import leave_if_torn

#: A run that said nothing for so many times the patience with a dead peer stands still.
_SILENT_TIMES = 6
#: How long a job that came straight through Redis may go on before it is looked for.
_COMES_AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Lent:
    """Lends one connection again and again."""

    lent: Connection

    @contextmanager
    def connection(self, *, leaves_nothing: bool = False) -> Iterator[Connection]:  # noqa: ARG002
        yield self.lent


def is_long(one: Accepted, child: Child) -> bool:
    """Tell whether a job goes step by step."""
    kind = child.kinds.get(one.delivery.task)
    return one.ask.state is State.WORKING or isinstance(kind, LongKind)


def had_its_turn(one: Accepted, child: Child) -> bool:
    """Tell whether it was known to take long when it was sent here."""
    return one.delivery.takes_long or isinstance(child.kinds.get(one.delivery.task), LongKind)


def as_long(one: Accepted) -> Accepted:
    """Return a job that turned out to take long as one that goes step by step."""
    return replace(one, ask=replace(one.ask, state=State.WORKING))


def commit_long(one: Accepted, child: Child) -> Settlement:
    """Run one job as far as it comes, and say how it ended or what it waits for.

    What it committed stays committed whatever is raised here: run it again,
    and it goes on from there.
    """
    id_ = one.delivery.id
    with child.pool.connection() as connection:
        lent = _Lent(connection)
        with transaction(lent) as cursor:
            silent_seconds = child.dead_peer_seconds * _SILENT_TIMES
            is_ours, state = claim_run(one.ask.id, silent_seconds, cursor)
        if not is_ours:
            return Settlement(id_, Fate.TAKEN, error=f"job {id_!r} runs in another process")
        one = _begun(one, state)
        (settlement,) = commit([one], child, lent)
        if settlement.fate is not Fate.WORKING:
            return settlement
        try:
            return _go_on(one, child, connection)
        except (Overtaken, NotNow) as error:
            return Settlement(id_, Fate.TAKEN, error=str(error))
        except Stopping as error:
            return Settlement(id_, Fate.GIVEN_BACK, error=str(error))


def _begun(one: Accepted, state: State | None) -> Accepted:
    """Let a job go on that began in time, although its time to begin is over by now."""
    if state is State.WORKING and (one.delivery.cancelled or "").startswith("expired"):
        return replace(one, ask=replace(one.ask, state=State.WORKING, error=None))
    return one


def _go_on(one: Accepted, child: Child, connection: Connection) -> Settlement:
    run = uuid4().hex
    with transaction_on(connection) as cursor:
        place = begin_run(one.ask.id, run, cursor)
        _keep_for_later(one, cursor)
    steps = _steps(one, run, place, child, connection)
    outcome = _run(one, child, steps)
    if outcome.state is State.QUEUED:
        if one.delivery.may_wait:
            return Settlement(one.delivery.id, Fate.LATER, error=outcome.error)
        outcome = replace(outcome, state=State.HELD)
    if not steps.has_ended:
        _end(one, run, outcome, connection)
    result = outcome.result or summary(asdict(steps.counts))
    return Settlement(one.delivery.id, _FATES[outcome.state], result, outcome.error)


def _steps(one: Accepted, run: str, place: Place, child: Child, connection: Connection) -> Steps:
    goes_on = child.kinds[one.delivery.task].goes_on
    return Steps(
        one.ask.id,
        run,
        # What begins anew is nowhere yet; its steps are counted on, for the fence.
        place if goes_on else Place(place.step, None),
        connection,
        tell=lambda progress: child.signals.tell(
            one.delivery.id, progress.as_result(), went_on=goes_on and progress.went_on
        ),
        is_stopping=child.signals.is_stopping,
        is_unwanted=lambda: child.signals.is_unwanted(one.delivery.id),
        end=lambda outcome, last: _end(one, run, outcome, connection, last),
    )


def _keep_for_later(one: Accepted, cursor: Cursor) -> None:
    """Have the job come again by the outbox, should Redis lose it while it is under way.

    Its end takes it out. One that takes longer comes a second time and waits for the first.
    """
    if not one.delivery.is_relayed:
        later = datetime.now(UTC) + _COMES_AGAIN
        enqueue([Entry(one.ask.id, one.delivery.task, one.message, later)], cursor)


_FATES = {
    State.COMMITTED: Fate.COMMITTED,
    State.DEAD: Fate.DEAD,
    State.HELD: Fate.HELD,
    State.CANCELLED: Fate.CANCELLED,
}


def _run(one: Accepted, child: Child, steps: Steps) -> Outcome:
    kind = child.kinds[one.delivery.task]
    if one.job is None or not kind.may_take_long:
        raise RuntimeError(
            f"{one.delivery.task} has no steps, or job {one.delivery.id!r} no payload"
        )
    try:
        outcome = kind.run_long(one.job, steps)
    except SubjectHeld as error:
        return Outcome(one.ask.id, State.HELD, error=str(error))
    except Unwanted as error:
        return Outcome(one.ask.id, State.CANCELLED, error=str(error))
    if outcome.state is not State.COMMITTED:
        leave_if_torn()
    return outcome


def _end(
    one: Accepted, run: str, outcome: Outcome, connection: Connection, last: Last | None = None
) -> None:
    kept = outcome.state in (State.DEAD, State.HELD)
    with transaction_on(connection) as cursor:
        end_run(
            one.ask.id,
            run,
            outcome.state,
            cursor,
            result=outcome.result,
            error=outcome.error,
            payload=one.message if kept else None,
        )
        if last is not None:
            last(cursor)
        if outcome.state is State.COMMITTED and one.group is not None:
            count_in_groups([one.group], cursor)
        if one.delivery.is_relayed:
            remove([one.ask.id], cursor)
        else:
            remove_kept([(one.ask.id, one.message)], cursor)
        if outcome.state is State.HELD:
            hold(one.ask.subject, outcome.error or "", cursor)
