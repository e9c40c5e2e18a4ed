"""Say how the jobs of a batch ended, in the words in which the main process is told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from celeriac.contract import State
from postgres.ledger import Claim, Entry, Verdict
from tasks.kind import Outcome, Waits
from worker.accept import Accepted
from worker.delivery import Fate, Settlement, summary

_FATES: Mapping[State, Fate] = {
    State.COMMITTED: Fate.COMMITTED,
    State.DEAD: Fate.DEAD,
    State.HELD: Fate.HELD,
    State.CANCELLED: Fate.CANCELLED,
    State.WORKING: Fate.WORKING,
}

_WAITS: Mapping[Waits, Fate] = MappingProxyType(
    {
        Waits.WITH_ITS_SUBJECT: Fate.LATER,
        Waits.AS_LONG_AS_IT_TAKES: Fate.LATER,
        Waits.BY_ITSELF: Fate.TAKEN,
        Waits.NOT_AT_ALL: Fate.GIVEN_BACK,
    }
)


def settled_before(
    accepted: Sequence[Accepted], claims: Mapping[str, Claim]
) -> dict[str, Settlement]:
    """Return the ends of those that the ledger decided before, and of conflicts, by id."""
    settled = {}
    for one in accepted:
        answer = claims[one.ask.id]
        if answer.verdict is Verdict.CONFLICT:
            settled[one.ask.id] = Settlement(one.delivery.id, Fate.CONFLICT)
        elif answer.entry is not None:
            settled[one.ask.id] = _settle_known(one.ask.id, answer.entry)
    return settled


def _settle_known(id_: str, entry: Entry) -> Settlement:
    result = entry.result or summary(entry.accounts)
    return Settlement(id_, _FATES[entry.state], result, entry.error)


def settlement_of(outcome: Outcome) -> Settlement:
    """Return the end of a job that ran just now."""
    result = outcome.result or summary(asdict(outcome.counts))
    is_queued = outcome.state is State.QUEUED
    fate = _WAITS[outcome.waits] if is_queued else _FATES[outcome.state]
    return Settlement(outcome.job_id, fate, result, outcome.error)
