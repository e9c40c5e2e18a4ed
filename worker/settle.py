"""Tell everybody how jobs ended: result, event, ack; only after COMMIT, in this order.

Die between two of them and the broker delivers again; the ledger then answers
what it answered before, and the job is settled a second time to the same end.
Nothing but this module acknowledges a message.
"""

from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING

from worker import events
from worker.announce import ending
from worker.batch import Batch
from worker.delivery import Answer, Fate, Settlement, whole_result
from worker.inspection import note_settled
from worker.request import RawMessage, Request
from worker.results import ResultsNotStored, store_results
from worker.waiting import Waiting

if TYPE_CHECKING:
    from worker.consumer import Consumer

__all__ = ["ResultsNotStored", "settle"]

_Pairs = Sequence[tuple[Waiting, Settlement]]


def settle(batch: Batch, answer: Answer, undone: Container[int], consumer: "Consumer") -> None:
    """Settle the jobs of a batch that the ledger decided, all but the undone.

    The broker is told with the next ``flush_settled``. Raises
    :class:`ResultsNotStored`; nothing of the batch was settled then.
    """
    # Nearly all jobs are in the first list, and nothing is done for each of them twice.
    whole = _committed_whole(batch, answer)
    others = list(_others(batch, answer, undone))
    _store_results(whole, others, consumer)
    _announce(whole, others, answer.seconds, consumer)
    _acknowledge(whole, others, consumer)


def _committed_whole(batch: Batch, answer: Answer) -> list[tuple[Waiting, int]]:
    """Return the plain jobs that committed with all their rows inserted, and these rows."""
    pairs = zip(batch.jobs, answer.rows, strict=True)
    if not answer.settlements:
        return [pair for pair in pairs if pair[0].request is None]
    return [
        pair
        for position, pair in enumerate(pairs)
        if pair[0].request is None and position not in answer.settlements
    ]


def _others(
    batch: Batch, answer: Answer, undone: Container[int]
) -> Iterator[tuple[Waiting, Settlement]]:
    """Yield the decided jobs that ended otherwise, or that Celery has a request of."""
    for position, one in enumerate(batch.jobs):
        settlement = answer.settlements.get(position)
        if settlement is not None and position not in undone:
            yield one, settlement
        elif settlement is None and one.request is not None:
            result = whole_result(answer.rows[position])
            yield one, Settlement(one.id, Fate.COMMITTED, result)


def _store_results(
    whole: Sequence[tuple[Waiting, int]], others: _Pairs, consumer: "Consumer"
) -> None:
    store_results(
        [(one.id, rows) for one, rows in whole if one.wants_result],
        [
            (settlement, one.request.context if one.request else None)
            for one, settlement in others
            if one.wants_result
        ],
        consumer.app,
    )


def _announce(
    whole: Sequence[tuple[Waiting, int]], others: _Pairs, seconds: float, consumer: "Consumer"
) -> None:
    for one, rows in whole:
        if one.is_shown:
            consumer.announcer.committed(one, rows, seconds)
    for one, settlement in others:
        if settlement.fate is Fate.DEAD:
            events.job_buried(job=one.id, reason=settlement.error or "")
        if settlement.fate is Fate.CONFLICT:
            events.job_conflicted(job=one.id)
        if one.request is not None:
            _announce_request(one.request, settlement, seconds)
        else:
            _announce_plain(one, settlement, seconds, consumer)


def _announce_request(
    request: Request | RawMessage, settlement: Settlement, seconds: float
) -> None:
    end = ending(settlement, seconds)
    if end is not None:
        type_, fields = end
        request.send_event(type_, **fields)
    request.finish(successful=settlement.fate is Fate.COMMITTED)


def _announce_plain(
    one: Waiting, settlement: Settlement, seconds: float, consumer: "Consumer"
) -> None:
    if not one.is_shown and settlement.fate not in (Fate.COMMITTED, Fate.CONFLICT):
        # A failure is shown in full, however many jobs are not.
        consumer.announcer.received(one)
        consumer.announcer.started(one)
        one.is_shown = True
    if one.is_shown:
        consumer.announcer.settled(one, settlement, seconds)


def _acknowledge(
    whole: Sequence[tuple[Waiting, int]], others: _Pairs, consumer: "Consumer"
) -> None:
    reservation = consumer.reservation
    jobs = [one for one, _ in whole] + [one for one, _ in others]
    plain = [one for one in jobs if one.request is None]
    if plain:
        note_settled(plain[0].task, len(plain))
    for one in jobs:
        if one.is_suspect:
            reservation.clear(one)
        if isinstance(one.request, Request):
            # Celery's own way would have it done at a later tick, if there is one.
            one.request.acknowledged = True
    reservation.done_with(jobs)
