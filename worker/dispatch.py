"""Hand batches to free children, and take what comes back.

Runs in the main process, on its event loop. A batch is formed at the end of a
loop tick, when a child is free: a lone job leaves at once, and jobs that
arrive while all children work leave together.
"""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kombu.utils.json import dumps

from tasks.kind import Preview
from worker import events
from worker.accumulate import Accumulator, Bounds
from worker.delivery import Answer, Delivery, Fate, Settlement
from worker.process import run_batch
from worker.request import RawMessage, Request
from worker.retry import backoff_seconds
from worker.settle import ResultsNotStored, settle

if TYPE_CHECKING:
    from worker.consumer import Consumer

#: Task name under which messages wait that belong to no kind.
_RAW = ""


@dataclass(slots=True)
class Waiting:
    """A message that waits for its batch, and what is known of it by now."""

    request: Request | RawMessage
    delivery: Delivery
    subject: str
    rows: int
    apart: str = ""
    crashes: int = 0
    first_busy_at: float | None = None

    @property
    def lane(self) -> tuple[str, str]:
        """Task, and what keeps the job apart from the task's ordinary jobs."""
        return self.delivery.task, self.apart

    @property
    def size_bytes(self) -> int:
        """Bytes of the body."""
        return len(self.delivery.body)


@dataclass(frozen=True, slots=True)
class Batching:
    """How batches are bounded, how long one may run, and when patience ends."""

    bounds: dict[str, Bounds]
    seconds: dict[str, float]
    crash_limit: int
    busy_hold_seconds: float
    #: The most jobs that may wait here for locked targets; more are held in PostgreSQL.
    parked_jobs: int


class Dispatcher:
    """The jobs of one consumer, from their arrival until they are settled."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer
        self._batching: Batching = consumer.app.batching
        self._waiting: Accumulator[Waiting] = Accumulator()
        self._parked: dict[str, list[Waiting]] = {}
        self._tick_is_due = False
        # Counts connections: what was received over an earlier one is delivered again.
        self._generation = 0
        self._lost_at: float | None = None
        self._lost_attempts = 0
        self._paused = False

    def add(self, request: Request, preview: Preview) -> None:
        """Let a job wait for its batch."""
        delivery = Delivery(id=request.id, task=request._type, body=_body(request))  # noqa: SLF001
        waiting = Waiting(request, delivery, preview.subject, preview.rows)
        if preview.subject in self._parked:
            self._park(waiting)
        else:
            self._waiting.add(waiting)
        self._tick_soon()

    def add_raw(self, raw: RawMessage, reason: str) -> None:
        """Let a message wait for its burial."""
        delivery = Delivery(id=raw.id, task=_RAW, body=_raw_body(raw), buried=reason)
        self._waiting.add(Waiting(raw, delivery, subject="", rows=1))
        self._tick_soon()

    def drop_waiting(self) -> None:
        """Forget what waits here; the broker delivers it again."""
        self._generation += 1
        dropped = self._waiting.clear() + sum(map(len, self._parked.values()))
        self._parked.clear()
        if dropped:
            events.buffer_dropped(jobs=dropped)

    def _tick_soon(self) -> None:
        if not self._tick_is_due:
            self._tick_is_due = True
            self._consumer.hub.call_soon(self._tick)

    def _tick(self) -> None:
        """Fill every free child; what is left waits for the next one."""
        self._tick_is_due = False
        controller = self._consumer.controller
        while not self._paused and controller.semaphore.value > 0:
            task = self._waiting.next_task()
            if task is None:
                return
            batch = self._waiting.take(self._batching.bounds[task])
            controller._quick_acquire(self._send, batch)  # noqa: SLF001 - see the contract tests

    def _send(self, batch: list[Waiting]) -> None:
        now = datetime.now(UTC)
        for one in batch:
            one.delivery = self._as_of_now(one, now)
        generation = self._generation
        self._consumer.pool.apply_async(
            run_batch,
            ([one.delivery for one in batch],),
            accept_callback=lambda pid, at: _started(batch, pid, at),
            callback=lambda answer: self._answered(batch, answer, generation),
            error_callback=lambda info: self._child_lost(batch, info, generation),
            timeout=self._batching.seconds[batch[0].delivery.task],
        )

    def _as_of_now(self, one: Waiting, now: datetime) -> Delivery:
        cancelled = None
        if isinstance(one.request, Request):
            cancelled = one.request.cancel_reason(now)
        may_wait = self._may_wait(one)
        return replace(one.delivery, cancelled=cancelled, may_wait=may_wait)

    def _may_wait(self, one: Waiting) -> bool:
        if sum(map(len, self._parked.values())) >= self._batching.parked_jobs:
            return False
        waited = 0.0 if one.first_busy_at is None else time.monotonic() - one.first_busy_at
        return waited < self._batching.busy_hold_seconds

    def _answered(self, batch: list[Waiting], answer: Answer, generation: int) -> None:
        """Sort what a child gave back: settle it, or let it wait again."""
        self._tick_soon()
        pairs = list(zip(batch, answer.settlements, strict=True))
        undone = [one for one, settlement in pairs if settlement.fate is Fate.WAIT]
        if undone:
            reason = next(s.error or "" for _, s in pairs if s.fate is Fate.WAIT)
            self._wait_for_database(undone, reason, generation)
        elif self._lost_at is not None:
            self._database_is_back()
        later = [(one, s) for one, s in pairs if s.fate is Fate.LATER]
        if later:
            self._wait_for_targets(later, generation)
        decided = [(one, s) for one, s in pairs if s.fate not in (Fate.WAIT, Fate.LATER)]
        if decided:
            self._settle(decided, answer.seconds)

    def _settle(
        self, decided: Sequence[tuple[Waiting, Settlement]], seconds: float, attempt: int = 1
    ) -> None:
        """Settle; the ledger remembers, so a result store that is away delays only the telling."""
        try:
            settle([(one.request, s) for one, s in decided], seconds, self._consumer.app)
        except ResultsNotStored as error:
            delay = backoff_seconds(attempt, random.random())  # noqa: S311 - no secret
            events.results_delayed(jobs=len(decided), seconds=delay, reason=str(error))
            self._later(delay, self._settle, decided, seconds, attempt + 1)
            return
        task = decided[0][0].delivery.task
        rows = sum(one.rows for one, _ in decided)
        events.batch_settled(task=task, jobs=len(decided), rows=rows, seconds=seconds)
        _report_holds(decided)

    def _wait_for_database(self, undone: list[Waiting], reason: str, generation: int) -> None:
        """Put the jobs back in front and give PostgreSQL time; nothing is counted."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            events.database_lost(reason=reason)
        self._put_back(undone, generation)
        if not self._paused:
            self._paused = True
            self._lost_attempts += 1
            delay = backoff_seconds(self._lost_attempts, random.random())  # noqa: S311 - no secret
            self._later(delay, self._resume)

    def _resume(self) -> None:
        self._paused = False
        self._tick_soon()

    def _database_is_back(self) -> None:
        events.database_back(seconds=time.monotonic() - (self._lost_at or 0.0))
        self._lost_at, self._lost_attempts = None, 0

    def _wait_for_targets(
        self, later: Sequence[tuple[Waiting, Settlement]], generation: int
    ) -> None:
        """Park the jobs of locked targets, so that those of others are not held up."""
        if generation != self._generation:
            return
        reasons = {one.subject: settlement.error or "" for one, settlement in later}
        opened = {subject for subject in reasons if subject not in self._parked}
        for one, _ in later:
            _unstart(one)
            self._park(one)
        for subject in opened:
            first = self._parked[subject][0]
            waited = time.monotonic() - (first.first_busy_at or time.monotonic())
            delay = min(5.0, max(backoff_seconds(1, random.random()), waited / 2))  # noqa: S311
            jobs = len(self._parked[subject])
            events.target_busy(target=subject, jobs=jobs, seconds=delay, reason=reasons[subject])
            self._later(delay, self._probe, subject, generation)

    def _park(self, one: Waiting) -> None:
        one.first_busy_at = one.first_busy_at or time.monotonic()
        # A lane of its own: should the target still be locked, only its own jobs wait for that.
        one.apart = f"target {one.subject}"
        self._parked.setdefault(one.subject, []).append(one)
        # What is parked must not use up the window: others have to keep coming.
        self._consumer.qos.increment_eventually()

    def _probe(self, subject: str, generation: int) -> None:
        """Try a locked target again with the jobs that wait for it."""
        if generation != self._generation:
            return
        for one in self._parked.pop(subject, []):
            self._consumer.qos.decrement_eventually()
            self._waiting.add(one)
        self._tick_soon()

    def _child_lost(self, batch: list[Waiting], info: Any, generation: int) -> None:
        """Run the jobs of a dead child again, each alone; bury one that kills alone, often."""
        reason = str(info.exception)
        events.child_lost(task=batch[0].delivery.task, jobs=len(batch), reason=reason)
        alone = len(batch) == 1
        for one in batch:
            one.apart = f"suspect {one.delivery.id}"
            one.crashes += alone
            if one.crashes >= self._batching.crash_limit:
                words = f"its process died {one.crashes} times while it ran alone: {reason}"
                one.delivery = replace(one.delivery, buried=words)
        self._put_back(batch, generation)
        self._tick_soon()

    def _put_back(self, batch: list[Waiting], generation: int) -> None:
        for one in batch:
            _unstart(one)
        if generation == self._generation:
            self._waiting.put_back(batch)

    def _later(self, seconds: float, action: Any, *arguments: Any) -> None:
        self._consumer.timer.call_after(seconds, action, arguments)


def _started(batch: list[Waiting], pid: int, at: float) -> None:
    for one in batch:
        if isinstance(one.request, Request):
            one.request.on_accepted(pid, at)


def _unstart(one: Waiting) -> None:
    if isinstance(one.request, Request):
        one.request.unstart()


def _report_holds(decided: Sequence[tuple[Waiting, Settlement]]) -> None:
    held = [(one.subject, s.error or "") for one, s in decided if s.fate is Fate.HELD]
    for subject, reason in dict(held).items():
        jobs = sum(1 for name, _ in held if name == subject)
        events.target_held(target=subject, jobs=jobs, reason=reason)


def _body(request: Request) -> bytes:
    body = request.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode("utf-8")
    # Protocol 1: Celery has decoded it, into the parts of protocol 2.
    return dumps(body).encode("utf-8")


def _raw_body(raw: RawMessage) -> bytes:
    """Return the whole message as JSON text, headers and all: it is kept as it came."""
    body = raw.message.body
    text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body
    kept = {
        "headers": raw.message.headers,
        "properties": raw.message.properties,
        "content-type": raw.message.content_type,
        "content-encoding": raw.message.content_encoding,
        "body": text,
    }
    return json.dumps(kept, default=repr).encode("utf-8")
