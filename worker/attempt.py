"""Try a batch in a child, and decide what a failure means for its jobs."""

import random
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from postgres.decision import (
    Decision,
    decide,
    when_collisions_do_not_end,
    when_the_server_is_well,
)
from postgres.errors import Phase, PoolExhausted, Refused
from postgres.server_trouble import is_well
from postgres.transaction import transaction
from worker.accept import Accepted, accept, buried
from worker.child import Child
from worker.commit import commit
from worker.commit_long import as_long, commit_long, had_its_turn, is_long
from worker.commit_whole import QUERY_CANCELED, Tally, commit_plain
from worker.delivery import Answer, Fate, Parcel, Settlement, whole_result
from worker.retry import COLLISIONS, collision_seconds
from worker.torn import leave_if_torn
from worker.unpack import deliveries, neighbours


def attempt(parcel: Parcel, child: Child) -> Answer:
    """Settle every job of a parcel; a guilty job spares its neighbours.

    Plain jobs go the short way, all at once; what that leaves goes the careful
    way after them. Returns only what the ledger decided, LATER, TAKEN or WAIT;
    raises nothing that a job could bring about.
    """
    started = time.monotonic()
    tally = Tally([0] * len(parcel.ids))
    commit_plain(parcel, child, tally)
    left = tally.left()
    if left:
        _commit_carefully(parcel, left, child, tally)
    return Answer(tally.rows, tally.settlements, time.monotonic() - started, tally.timeouts)


def _commit_carefully(parcel: Parcel, positions: Sequence[int], child: Child, tally: Tally) -> None:
    accepted = [accept(one, child.kinds) for one in deliveries(parcel, positions)]
    for places in neighbours([one.ask.rows for one in accepted], child.batch_rows):
        trial = _Trial(child, parcel.may_go_on)
        batch = [accepted[place] for place in places]
        for place, one, settlement in zip(places, batch, trial.run(batch), strict=True):
            _note(positions[place], one, settlement, tally)
        tally.timeouts += trial.timeouts


def _note(position: int, one: Accepted, settlement: Settlement, tally: Tally) -> None:
    """Add a settlement to the tally; a job that committed whole needs none."""
    rows = one.ask.rows
    if settlement.fate is Fate.COMMITTED:
        tally.rows[position] = rows
        if settlement.result == whole_result(rows):
            return
    tally.settlements[position] = replace(settlement, subject=one.ask.subject)


@dataclass(slots=True)
class _Trial:
    """Tries jobs in one transaction and then, as far as that is refused, in smaller ones."""

    child: Child
    #: Whether a job that turns out to take long may go on at once.
    may_go_on: bool = True
    timeouts: int = 0
    #: Jobs that turned out to take long: not tried the quick way again.
    long: set[str] = field(default_factory=set)
    #: How long the last transaction took that was refused.
    _refused_after_seconds: float = 0.0
    #: Whether PostgreSQL was asked how it is, and is well.
    _server_is_well: bool = False

    def run(self, batch: Sequence[Accepted]) -> list[Settlement]:
        """Return how each job ended, in their order."""
        try:
            return self._commit_through_collisions(batch)
        except PoolExhausted as error:
            return _all(batch, Fate.WAIT, str(error))
        except Refused as refused:
            return self._after_refusal(batch, refused)
        except Exception as error:  # noqa: BLE001 - the job's edge: a kind may raise anything
            return self._after_failure(batch, error)

    def _commit_through_collisions(self, batch: Sequence[Accepted]) -> list[Settlement]:
        for collision in range(1, COLLISIONS + 1):
            started = time.monotonic()
            try:
                return self._commit(batch)
            except Refused as refused:
                self._refused_after_seconds = time.monotonic() - started
                self.timeouts += refused.sqlstate == QUERY_CANCELED
                if _decide(refused, batch) is not Decision.AGAIN or collision == COLLISIONS:
                    raise
                time.sleep(collision_seconds(collision, random.random()))  # noqa: S311 - no secret
        raise AssertionError("unreachable: the last collision raises")

    def _commit(self, batch: Sequence[Accepted]) -> list[Settlement]:
        if len(batch) > 1:
            return self._commit_company(batch)
        (one,) = batch
        if one.delivery.id not in self.long and not is_long(one, self.child):
            (settlement,) = commit(batch, self.child)
            if settlement.fate is not Fate.WORKING or not self.may_go_on:
                return [settlement]
            self.long.add(one.delivery.id)
        if not self.may_go_on and not had_its_turn(one, self.child):
            return _all(batch, Fate.WORKING, "")
        return [commit_long(as_long(one) if one.delivery.id in self.long else one, self.child)]

    def _commit_company(self, batch: Sequence[Accepted]) -> list[Settlement]:
        """Commit jobs together; those that take long go alone, and so in another batch."""
        long = [is_long(one, self.child) for one in batch]
        quick = [one for one, is_one in zip(batch, long, strict=True) if not is_one]
        if not quick:
            first, *others = batch
            return self.run([first]) + _all(others, Fate.WORKING, "")
        settled = iter(commit(quick, self.child))
        return [
            Settlement(one.delivery.id, Fate.WORKING) if is_one else next(settled)
            for one, is_one in zip(batch, long, strict=True)
        ]

    def _after_refusal(self, batch: Sequence[Accepted], refused: Refused) -> list[Settlement]:
        decision = _decide(refused, batch)
        if decision is Decision.AGAIN and self._may_be_of_a_row(refused, batch):
            return self._blame_a_row(batch)
        match self._looked_into(decision, refused, len(batch)):
            case Decision.WAIT:
                return _all(batch, Fate.WAIT, str(refused))
            case Decision.BUSY:
                fate = Fate.TAKEN if refused.phase is Phase.CLAIM else Fate.LATER
                return _all(batch, fate, str(refused))
            case _ if len(batch) > 1:
                return self._each_alone(batch)
            case _:
                return self._bury(batch, str(refused))

    def _looked_into(self, decision: Decision, refused: Refused, jobs: int) -> Decision:
        """Return what follows where the code by itself does not tell."""
        if decision is Decision.AGAIN:
            return when_collisions_do_not_end(refused.phase, jobs)
        if decision is Decision.WAIT:
            doubt = when_the_server_is_well(refused.sqlstate, refused.phase, jobs)
            return doubt if doubt is Decision.WAIT or self._ask_the_server() else Decision.WAIT
        return decision

    def _ask_the_server(self) -> bool:
        """Whether PostgreSQL is well: it said otherwise, or somebody's trigger did."""
        if not self._server_is_well:
            try:
                with transaction(self.child.pool) as cursor:
                    self._server_is_well = is_well(cursor)
            except (Refused, PoolExhausted):
                return False
        return self._server_is_well

    def _may_be_of_a_row(self, refused: Refused, batch: Sequence[Accepted]) -> bool:
        """Whether a lone job, tried as often as it may be, may have a row that always collides."""
        if when_collisions_do_not_end(refused.phase, len(batch)) is not Decision.ROWS:
            return False
        most_seconds = self.child.pool.session.statement_seconds
        if refused.sqlstate == QUERY_CANCELED and self._refused_after_seconds >= most_seconds:
            return False  # Its time was over: that is no row's word, and each more costs as much.
        return batch[0].job is not None and not batch[0].job.is_last_try

    def _blame_a_row(self, batch: Sequence[Accepted]) -> list[Settlement]:
        (one,) = batch
        return self.run([replace(one, job=one.job and replace(one.job, is_last_try=True))])

    def _after_failure(self, batch: Sequence[Accepted], error: Exception) -> list[Settlement]:
        if len(batch) > 1:
            return self._each_alone(batch)
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        return self._bury(batch, reason)

    def _each_alone(self, batch: Sequence[Accepted]) -> list[Settlement]:
        return [settlement for one in batch for settlement in self.run([one])]

    def _bury(self, batch: Sequence[Accepted], reason: str) -> list[Settlement]:
        (one,) = batch
        if one.delivery.buried is None:
            leave_if_torn()
            # A burial takes no steps, however far the job went.
            self.long.discard(one.delivery.id)
            return self.run([buried(one, reason)])
        if one.ask.rows or one.ask.subject:
            # What the job says of itself may be what was refused.
            return self.run([accept(one.delivery, self.child.kinds)])
        # Even the burial was refused: an operator has to look, nothing is lost meanwhile.
        return _all(batch, Fate.WAIT, reason)


def _decide(refused: Refused, batch: Sequence[Accepted]) -> Decision:
    return decide(refused.sqlstate, refused.phase, len(batch))


def _all(batch: Sequence[Accepted], fate: Fate, reason: str) -> list[Settlement]:
    return [Settlement(one.delivery.id, fate, error=reason) for one in batch]
