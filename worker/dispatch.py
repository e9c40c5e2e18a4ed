"""Hand batches to free children, and settle what comes back.

Runs in the main process, on its event loop. A batch is formed at the end of a
loop tick, when a child is free: a lone job leaves at once, and jobs that
arrive while all children work leave together.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery.worker import state

from tasks.kind import Preview
from worker import events
from worker.accumulate import Accumulator, Bounds
from worker.batch import Batch, parcel_of
from worker.bounds import TOO_LONG, BatchBounds
from worker.delivery import Answer, Fate
from worker.message import body_of, is_relayed, kept_form
from worker.process import run_batch
from worker.request import RawMessage, Request
from worker.transport.slabs import place_of
from worker.undone import Undone, is_out_of_time
from worker.unsettled import Unsettled
from worker.waiting import LONG, POSTPONED, RAW, Batching, Waiting

if TYPE_CHECKING:
    from worker.consumer import Consumer


class Dispatcher:
    """The jobs of one consumer, from their arrival until they are settled."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer
        self._batching: Batching = consumer.app.batching
        self._bounds = {task: BatchBounds(most) for task, most in self._batching.bounds.items()}
        self._waiting: Accumulator[Waiting] = Accumulator()
        self._running: dict[int, Batch] = {}
        self._undone = Undone(consumer, self._waiting, self.tick_soon)
        self._unsettled = Unsettled(consumer)
        self._tick_is_due = False
        self._asks_for_child = False
        self._ripe_at = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether batches are with children; asked by other threads, too."""
        return bool(self._running)

    def add_plain(self, jobs: Sequence[Waiting]) -> None:
        """Let jobs wait for their batch that nobody has opened."""
        for one in jobs:
            self._admit(one)
        # Now, not at the end of the tick: a slab is all that a tick brings.
        self._tick()
        self._consumer.announce_received(jobs)

    def add(self, request: Request, preview: Preview) -> None:
        """Let a job wait for its batch that came by Celery's ordinary way."""
        one = Waiting(request.id, request.type, body_of(request), request.wants_result)
        self._add_with_request(one, request)
        if not self._consumer.reservation.slabs.holds(one):
            return  # Its ETA came after others had taken it.
        one.subject, one.rows = preview.subject, preview.rows
        self._admit(one)
        self.tick_soon()

    def add_raw(self, raw: RawMessage, reason: str) -> None:
        """Let a message wait for its burial."""
        one = Waiting(raw.id, RAW, kept_form(raw), raw.wants_result, buried=reason)
        self._add_with_request(one, raw)
        self._waiting.add(one)
        self.tick_soon()

    def add_postponed(self, raw: RawMessage, kept: bytes) -> None:
        """Let a message wait for its way into the outbox."""
        one = Waiting(raw.id, POSTPONED, kept, wants_result=False)
        self._add_with_request(one, raw)
        self._waiting.add(one)
        self.tick_soon()

    def drop_waiting(self) -> None:
        """Forget what waits here: another worker has it."""
        dropped = self._waiting.clear() + self._undone.forget()
        if dropped:
            events.buffer_dropped(jobs=dropped)

    def connection_lost(self) -> None:
        """Go on with what is here, which is ours all the same; Celery forgets who asked it."""
        self._asks_for_child = self._tick_is_due = False
        self.tick_soon()

    def waiting_jobs(self) -> Iterator[Waiting]:
        """Yield the jobs that are with no child."""
        yield from self._waiting
        yield from self._undone.parked_jobs()

    def running_jobs(self) -> Iterator[tuple[Waiting, int | None, float | None]]:
        """Yield the jobs that are with a child, its process id, and since when."""
        for batch in self._running.values():
            for one in batch.jobs:
                yield one, batch.pid, batch.started_at

    def lone_jobs(self) -> Iterator[tuple[Waiting, int]]:
        """Yield the jobs that have a child to themselves, and its process id."""
        for batch in self._running.values():
            if batch.is_alone and batch.pid is not None:
                yield batch.jobs[0], batch.pid

    def tick_soon(self) -> None:
        """Look at the end of this loop tick whether a batch can leave."""
        if not self._tick_is_due:
            self._tick_is_due = True
            self._consumer.hub.call_soon(self._tick)

    def _add_with_request(self, one: Waiting, request: Request | RawMessage) -> None:
        one.request = request
        one.is_relayed = is_relayed(request)
        place = place_of(request.tag)
        one.slab, one.position = place
        self._consumer.reservation.elsewhere.discard(place)
        deaths = self._consumer.reservation.deaths.pop(place, None)
        if deaths is not None:
            one.is_suspect, one.crashes = True, deaths

    def _admit(self, one: Waiting) -> None:
        if one.task in self._batching.tasks_that_may_take_long:
            one.came_at = time.monotonic()
        if one.is_suspect:
            self._undone.judge(one)
        if not self._undone.park_with_its_target(one):
            if not self._waiting:
                self._ripe_at = time.monotonic() + self._batching.linger_seconds
            self._waiting.add(one)

    def _tick(self) -> None:
        """Ask for a child if there is work; what arrives until one is free goes along."""
        self._tick_is_due = False
        self._keep_a_child()
        if self._asks_for_child or not self._may_leave() or self._lingers():
            return
        self._asks_for_child = True
        # Calls back at once if a child is free, else the moment one becomes so.
        self._consumer.controller._quick_acquire(  # noqa: SLF001 - see the contract tests
            self._child_is_free
        )

    def _lingers(self) -> bool:
        """Whether jobs still wait for company, as the operator wishes."""
        left = self._ripe_at - time.monotonic()
        task = self._waiting.next_task()
        if left <= 0 or task is None or len(self._waiting) >= self._bounds[task].now.jobs:
            return False
        self._consumer.timer.call_after(left, self.tick_soon)
        return True

    def _child_is_free(self) -> None:
        self._asks_for_child = False
        self._keep_a_child()
        task = self._waiting.next_task()
        if task is None or not self._may_leave():
            self._consumer.controller._quick_release()  # noqa: SLF001 - see the contract tests
            return
        jobs = self._waiting.take(self._bounds_of_next(task))
        if jobs[0].takes_long:
            self._undone.count_aside()
        self._send(jobs)
        self.tick_soon()

    def _bounds_of_next(self, task: str) -> Bounds:
        bounds, one = self._bounds[task].now, self._waiting.next()
        return replace(bounds, jobs=1) if one is not None and one.takes_long else bounds

    def _may_leave(self) -> bool:
        """Whether the next job may go now: one that needs quiet goes when nothing runs."""
        one = self._waiting.next()
        if one is None or self._undone.is_paused or self._consumer.is_stopping:
            return False
        if one.takes_long and not self._has_room_for_long():
            return False
        # Celery believes all children free once it has connected again.
        if len(self._running) >= self._consumer.pool.num_processes:
            return False
        return not self._running or not (one.needs_quiet or self._is_quiet())

    def _keep_a_child(self) -> None:
        """Let others go first while what takes long has all the children that it may have."""
        # While the worker stops, its pool goes before its last tick.
        if not (self._consumer.is_stopping or self._has_room_for_long()):
            self._waiting.defer(lambda one: one.takes_long)

    def _has_room_for_long(self) -> bool:
        """Whether a child is left for others, should one more job take long; if there are two."""
        most = max(1, int(self._consumer.pool.num_processes) - 1)
        return sum(batch.may_take_long for batch in self._running.values()) < most

    def _may_take_long(self, jobs: Sequence[Waiting]) -> bool:
        """Whether a batch may keep its child: a lone job goes on in it if it takes long.

        Not before others have had their turn that are known to.
        """
        if len(jobs) > 1 or jobs[0].task not in self._batching.tasks_that_may_take_long:
            return False
        if jobs[0].takes_long:
            return True
        return self._has_room_for_long() and not self._waiting.jobs_apart(LONG)

    def _is_quiet(self) -> bool:
        return any(batch.jobs[0].needs_quiet for batch in self._running.values())

    def _send(self, jobs: list[Waiting]) -> None:
        # A suspect, alone in the whole process: should that die, nobody else can be to blame.
        # Any other lone job may only have come first to a worker that would die of each.
        alone = len(jobs) == 1 and jobs[0].is_suspect and not self._running
        may_take_long = self._may_take_long(jobs)
        number, parts = self._consumer.reservation.next_batch(jobs)
        batch = self._running[number] = Batch(number, jobs, may_take_long)
        now, patience = datetime.now(UTC), self._undone.patience()
        parcel = parcel_of(jobs, now, state.revoked, patience, may_go_on=may_take_long)
        self._consumer.pool.apply_async(
            run_batch,
            (parcel,),
            accept_callback=lambda pid, at: self._started(batch, pid, at),
            callback=lambda answer: self._answered(batch, answer),
            error_callback=lambda info: self._child_lost(batch, info),
            timeout=self._batching.seconds[batch.task],
        )
        self._consumer.pipes.write_now(self._consumer.pool._pool)  # noqa: SLF001 - see the contract tests
        # While the child wakes: what it has not read yet cannot end this process.
        self._consumer.reservation.dispatched(number, parts, alone=alone)

    def _started(self, batch: Batch, pid: int, at: float) -> None:
        batch.start(pid, at)
        for one in batch.jobs:
            if one.is_shown:
                self._consumer.announcer.started(one)

    def _returned(self, batch: Batch) -> None:
        self._running.pop(batch.number, None)
        self._consumer.reservation.came_back(batch.number, batch.jobs)
        self.tick_soon()

    def _child_lost(self, batch: Batch, info: Any) -> None:
        self._returned(batch)
        if self._consumer.is_stopping:
            return  # Its jobs go back to their queue as they are, whoever ended the child.
        if is_out_of_time(info):
            self._bounds[batch.task].ran_out()
        self._undone.child_lost(batch, info)
        self._consumer.flush_settled()

    def _answered(self, batch: Batch, answer: Answer) -> None:
        """Sort what a child gave back: settle it, or let it wait again."""
        self._returned(batch)
        bounds = self._bounds[batch.task]
        if answer.timeouts:
            bounds.timed_out()
        elif returned := sum(one.fate is Fate.GIVEN_BACK for one in answer.settlements.values()):
            bounds.came_back(len(batch.jobs) - returned)
        elif len(batch.jobs) > 1 and answer.seconds > TOO_LONG * self._batching.seconds[batch.task]:
            # Many bad rows, say: all its jobs waited for them, with their locks.
            bounds.took_long()
        else:
            bounds.went_well()
        undone = self._undone.take_back(batch, answer)
        following = self._waiting.next()
        try:
            # The child need not wait until everybody was told about this batch; but who goes
            # alone must not be found beside one that Redis still takes for running.
            if following is not None and not following.needs_quiet:
                self._tick()
        finally:
            self._tell(batch, answer, undone)

    def _tell(self, batch: Batch, answer: Answer, undone: set[int]) -> None:
        if len(undone) < len(batch.jobs):
            self._unsettled.settle(batch, answer, undone)
        else:
            self._consumer.flush_settled()
