"""Settle batches in turn, and keep those that cannot be settled yet until they can.

What is kept is committed: only its telling is late. One batch at a time is
tried while the result store is away: each try may take seconds, and the main
loop has to give signs of life between them.
"""

from collections import deque
from collections.abc import Container
from typing import TYPE_CHECKING

from worker import events
from worker.batch import Batch
from worker.delivery import Answer, Fate
from worker.settle import settle
from worker.undone import backoff

if TYPE_CHECKING:
    from worker.consumer import Consumer


class Unsettled:
    """The batches that came back and are not settled, oldest first."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer
        self._batches: deque[tuple[Batch, Answer, Container[int]]] = deque()
        self._failures = 0

    def settle(self, batch: Batch, answer: Answer, undone: Container[int]) -> None:
        """Settle a batch now, or after those that wait already."""
        self._batches.append((batch, answer, undone))
        if len(self._batches) == 1:
            self._settle_in_turn()

    def _settle_in_turn(self) -> None:
        while self._batches:
            batch, answer, undone = self._batches[0]
            try:
                settle(batch, answer, undone, self._consumer)
            except Exception as error:  # noqa: BLE001 - the pool would swallow it, and the acks with it
                self._try_again(repr(error))
                break
            self._batches.popleft()
            self._failures = 0
            _report(batch, answer, undone)
        self._consumer.flush_settled()

    def _try_again(self, reason: str) -> None:
        self._failures += 1
        delay = backoff(self._failures)
        jobs = sum(len(batch.jobs) for batch, _, _ in self._batches)
        events.settling_delayed(jobs=jobs, seconds=delay, reason=reason)
        self._consumer.timer.call_after(delay, self._settle_in_turn)


def _report(batch: Batch, answer: Answer, undone: Container[int]) -> None:
    jobs = sum(1 for position in range(len(batch.jobs)) if position not in undone)
    events.batch_settled(task=batch.task, jobs=jobs, rows=sum(answer.rows), seconds=answer.seconds)
    held = [(s.subject, s.error or "") for s in answer.settlements.values() if s.fate is Fate.HELD]
    for subject, reason in dict(held).items():
        jobs = sum(1 for name, _ in held if name == subject)
        events.target_held(target=subject, jobs=jobs, reason=reason)
