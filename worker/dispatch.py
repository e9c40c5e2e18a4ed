"""Hand batches to free children, and take what comes back.

Runs in the main process, on its event loop. A batch is formed at the end of a
loop tick, when a child is free: a lone job leaves at once, and jobs that
arrive while all children work leave together.
"""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError

from tasks.kind import Preview
from worker import events
from worker.accumulate import Accumulator
from worker.delivery import Answer, Delivery, Fate, Settlement
from worker.message import body_of, kept_form
from worker.parking import Parking
from worker.process import run_batch
from worker.request import RawMessage, Request
from worker.retry import backoff_seconds
from worker.settle import settle
from worker.waiting import RAW, Batching, Waiting, lane_of_target

if TYPE_CHECKING:
    from worker.consumer import Consumer

_Pairs = Sequence[tuple[Waiting, Settlement]]

_LOCKED = (Fate.LATER, Fate.TAKEN)


class Dispatcher:
    """The jobs of one consumer, from their arrival until they are settled."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer
        self._batching: Batching = consumer.app.batching
        self._waiting: Accumulator[Waiting] = Accumulator()
        self._parking = Parking(
            most_jobs=self._batching.parked_jobs, patience_seconds=self._batching.busy_hold_seconds
        )
        self._tick_is_due = False
        self._asks_for_child = False
        # Counts connections: what was received over an earlier one is delivered again.
        self._generation = 0
        self._lost_at: float | None = None
        self._lost_attempts = 0
        self._paused = False

    def add(self, request: Request, preview: Preview) -> None:
        """Let a job wait for its batch."""
        delivery = Delivery(id=request.id, task=request.type, body=body_of(request))
        one = Waiting(request, delivery, preview.subject, preview.rows)
        now = time.monotonic()
        if lane_of_target(one.subject) in self._parking and self._parking.may_wait(one, now):
            one.set_apart(Fate.LATER)
            self._park(one, now)
        else:
            self._waiting.add(one)
        self._tick_soon()

    def add_raw(self, raw: RawMessage, reason: str) -> None:
        """Let a message wait for its burial."""
        delivery = Delivery(id=raw.id, task=RAW, body=kept_form(raw), buried=reason)
        self._waiting.add(Waiting(raw, delivery, subject="", rows=0))
        self._tick_soon()

    def drop_waiting(self) -> None:
        """Forget what waits here; the broker delivers it again."""
        self._generation += 1
        # Celery forgets who asked for a child when it loses the connection.
        self._asks_for_child = False
        dropped = self._waiting.clear() + self._parking.clear()
        if dropped:
            events.buffer_dropped(jobs=dropped)

    def _tick_soon(self) -> None:
        if not self._tick_is_due:
            self._tick_is_due = True
            self._consumer.hub.call_soon(self._tick)

    def _tick(self) -> None:
        """Ask for a child if there is work; what arrives until one is free goes along."""
        self._tick_is_due = False
        if self._waiting and not self._paused and not self._asks_for_child:
            self._asks_for_child = True
            # Calls back at once if a child is free, else the moment one becomes so.
            self._consumer.controller._quick_acquire(  # noqa: SLF001 - see the contract tests
                self._child_is_free
            )

    def _child_is_free(self) -> None:
        self._asks_for_child = False
        task = None if self._paused else self._waiting.next_task()
        if task is None:
            self._consumer.controller._quick_release()  # noqa: SLF001 - see the contract tests
            return
        self._send(self._waiting.take(self._batching.bounds[task]))
        self._tick_soon()

    def _send(self, batch: list[Waiting]) -> None:
        now, clock, generation = datetime.now(UTC), time.monotonic(), self._generation
        deliveries = [one.depart(now, may_wait=self._parking.may_wait(one, clock)) for one in batch]
        self._consumer.pool.apply_async(
            run_batch,
            (deliveries,),
            accept_callback=lambda pid, at: _start(batch, pid, at),
            callback=lambda answer: self._answered(batch, answer, generation),
            error_callback=lambda info: self._child_lost(batch, info, generation),
            timeout=self._batching.seconds[batch[0].delivery.task],
        )

    def _answered(self, batch: list[Waiting], answer: Answer, generation: int) -> None:
        """Sort what a child gave back: settle it, or let it wait again."""
        self._tick_soon()
        pairs = list(zip(batch, answer.settlements, strict=True))
        undone = [pair for pair in pairs if pair[1].fate is Fate.WAIT]
        later = [pair for pair in pairs if pair[1].fate in _LOCKED]
        decided = [pair for pair in pairs if pair[1].fate not in (Fate.WAIT, *_LOCKED)]
        if undone:
            self._wait_for_database(undone, generation)
        elif self._lost_at is not None:
            self._database_is_back(self._lost_at)
        if later:
            self._wait_for_locks(later, generation)
        if decided:
            self._settle(decided, answer.seconds)

    def _settle(self, decided: _Pairs, seconds: float, attempt: int = 1) -> None:
        """Settle; the ledger remembers, so results that cannot be stored only delay the telling."""
        try:
            settle([(one.request, s) for one, s in decided], seconds, self._consumer.app)
        except Exception as error:  # noqa: BLE001 - the pool would swallow it, and the acks with it
            delay = _backoff(attempt)
            events.settling_delayed(jobs=len(decided), seconds=delay, reason=repr(error))
            self._later(delay, self._settle, decided, seconds, attempt + 1)
            return
        rows = sum(one.rows for one, _ in decided)
        task = decided[0][0].delivery.task
        events.batch_settled(task=task, jobs=len(decided), rows=rows, seconds=seconds)
        _report_holds(decided)
        self._consumer.flush_events_if_stopping()

    def _wait_for_database(self, undone: _Pairs, generation: int) -> None:
        """Put the jobs back in front and give PostgreSQL time; nothing is counted."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            events.database_lost(reason=undone[0][1].error or "")
        self._put_back([one for one, _ in undone], generation)
        self._pause()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._lost_attempts += 1
            self._later(_backoff(self._lost_attempts), self._resume)

    def _resume(self) -> None:
        self._paused = False
        self._tick_soon()

    def _database_is_back(self, lost_at: float) -> None:
        events.database_back(seconds=time.monotonic() - lost_at)
        self._lost_at, self._lost_attempts = None, 0

    def _wait_for_locks(self, later: _Pairs, generation: int) -> None:
        """Park jobs until a lock may be gone, and set a time to try each lane again."""
        for one, settlement in later:
            one.unstart()
            one.set_apart(settlement.fate)
        if generation != self._generation:
            return
        now = time.monotonic()
        reasons = {one.apart: settlement.error or "" for one, settlement in later}
        newly = [lane for lane in reasons if lane not in self._parking]
        for one, _ in later:
            self._park(one, now)
        for lane in newly:
            delay = self._parking.pause_seconds(lane, now, _jitter())
            jobs = self._parking.jobs(lane)
            events.lock_met(waiting_for=lane, jobs=jobs, seconds=delay, reason=reasons[lane])
            self._later(delay, self._probe, lane, generation)

    def _park(self, one: Waiting, now: float) -> None:
        self._parking.park(one, now)
        # What is parked must not use up the window: others have to keep coming.
        self._consumer.qos.increment_eventually()

    def _probe(self, lane: str, generation: int) -> None:
        """Try again the jobs that waited for one lock."""
        if generation != self._generation:
            return
        for one in self._parking.leave(lane):
            self._consumer.qos.decrement_eventually()
            self._waiting.add(one)
        self._tick_soon()

    def _child_lost(self, batch: list[Waiting], info: Any, generation: int) -> None:
        """Run the jobs of a dead child again, each alone; bury one that kills alone, often."""
        reason = _death(info)
        self._tick_soon()
        if reason is None:
            events.child_unfit(reason=repr(info.exception))
            self._put_back(batch, generation)
            self._pause()
            return
        events.child_lost(task=batch[0].delivery.task, jobs=len(batch), reason=reason)
        limit = self._batching.crash_limit
        for one in batch:
            one.suspect(reason, alone=len(batch) == 1, crash_limit=limit)
        self._put_back(batch, generation)

    def _put_back(self, batch: list[Waiting], generation: int) -> None:
        for one in batch:
            one.unstart()
        if generation == self._generation:
            self._waiting.put_back(batch)

    def _later(self, seconds: float, action: Any, *arguments: Any) -> None:
        self._consumer.timer.call_after(seconds, action, arguments)


def _start(batch: list[Waiting], pid: int, at: float) -> None:
    for one in batch:
        one.start(pid, at)


def _death(info: Any) -> str | None:
    """Say how a child died; None if it lives and refused the batch as a whole."""
    # billiard wraps what it raises in the main process in a traceback's text.
    error = getattr(info.exception, "exc", info.exception)
    if isinstance(error, TimeLimitExceeded):
        return f"it ran longer than {error.args[0]:g} s and was killed"
    if isinstance(error, WorkerLostError | Terminated | SystemExit):
        return str(error)
    return None


def _backoff(attempt: int) -> float:
    return backoff_seconds(attempt, _jitter())


def _jitter() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing


def _report_holds(decided: _Pairs) -> None:
    held = [(one.subject, s.error or "") for one, s in decided if s.fate is Fate.HELD]
    for subject, reason in dict(held).items():
        jobs = sum(1 for name, _ in held if name == subject)
        events.target_held(target=subject, jobs=jobs, reason=reason)
