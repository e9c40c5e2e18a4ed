"""Try a batch in a child, and decide what a failure means for its jobs."""

import random
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from postgres.decision import Decision, decide, when_collisions_do_not_end
from postgres.errors import Phase, PoolExhausted, Refused
from worker.accept import Accepted, accept
from worker.child import Child
from worker.commit import commit
from worker.commit_long import as_long, commit_long, had_its_turn, is_long
from worker.commit_whole import QUERY_CANCELED, Tally, commit_plain
from worker.delivery import Answer, Fate, Parcel, Settlement, whole_result
from worker.retry import COLLISIONS, collision_seconds
from worker.unpack import deliveries, neighbours

_ERROR_CHARACTERS = 2_000


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
            try:
                return self._commit(batch)
            except Refused as refused:
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
        if decision is Decision.AGAIN:
            decision = when_collisions_do_not_end(refused.phase, len(batch))
        match decision:
            case Decision.WAIT:
                return _all(batch, Fate.WAIT, str(refused))
            case Decision.BUSY:
                fate = Fate.TAKEN if refused.phase is Phase.CLAIM else Fate.LATER
                return _all(batch, fate, str(refused))
            case _ if len(batch) > 1:
                return self._each_alone(batch)
            case _:
                return self._bury(batch, str(refused))

    def _after_failure(self, batch: Sequence[Accepted], error: Exception) -> list[Settlement]:
        if len(batch) > 1:
            return self._each_alone(batch)
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        return self._bury(batch, reason)

    def _each_alone(self, batch: Sequence[Accepted]) -> list[Settlement]:
        return [settlement for one in batch for settlement in self.run([one])]

    def _bury(self, batch: Sequence[Accepted], reason: str) -> list[Settlement]:
        if batch[0].delivery.buried is not None:
            # Even the burial was refused: an operator has to look, nothing is lost meanwhile.
            return _all(batch, Fate.WAIT, reason)
        reason = reason[:_ERROR_CHARACTERS]
        return self.run(
            [accept(replace(one.delivery, buried=reason), self.child.kinds) for one in batch]
        )


def _decide(refused: Refused, batch: Sequence[Accepted]) -> Decision:
    return decide(refused.sqlstate, refused.phase, len(batch))


def _all(batch: Sequence[Accepted], fate: Fate, reason: str) -> list[Settlement]:
    return [Settlement(one.delivery.id, fate, error=reason) for one in batch]
