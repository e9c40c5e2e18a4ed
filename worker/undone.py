"""What happens to jobs that came back from a child without an end: they wait, and for what.

For PostgreSQL: all wait. For a lock: the jobs that need it wait apart. For a
child of their own: the jobs of one that died, since any may be to blame.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError

from worker import events
from worker.accumulate import Accumulator
from worker.batch import Batch
from worker.delivery import Answer, Fate, Settlement
from worker.parking import Parking
from worker.preview import subject_of
from worker.request import Request
from worker.retry import backoff_seconds
from worker.waiting import LONG, Batching, Waiting, lane_of_target

if TYPE_CHECKING:
    from worker.consumer import Consumer

_LOCKED = (Fate.LATER, Fate.TAKEN)
_Pairs = Sequence[tuple[Waiting, Settlement]]


class Undone:
    """The jobs that have to wait for something, and when to try them again."""

    def __init__(
        self, consumer: "Consumer", waiting: Accumulator[Waiting], tick_soon: Callable[[], None]
    ) -> None:
        self._consumer = consumer
        self._waiting = waiting
        self._tick_soon = tick_soon
        self._batching: Batching = consumer.app.batching
        self._parking = Parking(
            most_jobs=self._batching.parked_jobs,
            most_bytes=self._batching.parked_bytes,
            patience_seconds=self._batching.busy_hold_seconds,
        )
        # Counts how often everything was forgotten: what was set to happen before, must not.
        self._generation = 0
        self._lost_at: float | None = None
        self._lost_attempts = 0
        self.is_paused = False

    def take_back(self, batch: Batch, answer: Answer) -> set[int]:
        """Let the jobs wait again that have no end yet; return their positions."""
        if not answer.settlements:
            self._database_answered()
            return set()
        fates = answer.settlements.items()
        undone = {at for at, s in fates if s.fate is Fate.WAIT}
        locked = {at for at, s in fates if s.fate in _LOCKED}
        if undone:
            pairs = [(batch.jobs[at], answer.settlements[at]) for at in sorted(undone)]
            self._wait_for_database(pairs)
        else:
            self._database_answered()
        if locked:
            pairs = [(batch.jobs[at], answer.settlements[at]) for at in sorted(locked)]
            self._wait_for_locks(pairs)
        stopped = {at for at, s in fates if s.fate is Fate.GIVEN_BACK}
        self._go_first([batch.jobs[at] for at in sorted(stopped)])
        long = {at for at, s in fates if s.fate is Fate.WORKING}
        self._go_alone([batch.jobs[at] for at in sorted(long)])
        return undone | locked | stopped | long

    def child_lost(self, batch: Batch, info: Any) -> None:
        """Run the jobs of a dead child again, each alone; bury one that kills alone, often."""
        reason = _death(info)
        batch.unstart()
        if reason is None:
            events.child_unfit(reason=repr(info.exception))
            self._put_back(batch.jobs)
            self._pause()
            return
        events.child_lost(task=batch.task, jobs=len(batch.jobs), reason=reason)
        for one in batch.jobs:
            one.suspect(reason, one.crashes + batch.is_alone, self._batching.crash_limit)
            self._consumer.reservation.suspect(one, one.crashes)
        self._put_back(batch.jobs)

    def judge(self, one: Waiting) -> None:
        """Set apart a job with which another worker died; bury it if that was too often."""
        one.suspect("its worker died with it", one.crashes, self._batching.crash_limit)
        one.needs_quiet = True

    def park_with_its_target(self, one: Waiting) -> bool:
        """Let a new job wait with the others of a target that is locked just now."""
        if not self._parking or one.apart:
            return False
        now = time.monotonic()
        one.subject = one.subject or subject_of(one, self._consumer.app)
        lane = lane_of_target(one.task, one.subject)
        if lane not in self._parking or not self._parking.may_wait(one, now):
            return False
        one.set_apart(Fate.LATER)
        self._parking.park(one, now)
        self.count_aside()
        return True

    def patience(self) -> Callable[[Waiting], bool] | None:
        """Say which jobs may be parked (again) should their target be locked; None if none may."""
        if not self._parking.has_room:
            return None
        return partial(self._parking.may_wait, now=time.monotonic())

    def parked_jobs(self) -> Iterable[Waiting]:
        """Return the jobs that wait for locks."""
        return self._parking.all_jobs()

    def forget(self) -> int:
        """Forget the parked jobs; return how many those were."""
        self._generation += 1
        self._consumer.reservation.slabs.aside = 0
        return self._parking.clear()

    def count_aside(self) -> None:
        """Have others keep coming: what waits for a lock, or its turn, must not fill the window.

        As far as memory allows; then it does.
        """
        aside = len(self._parking) + self._waiting.jobs_apart(LONG)
        self._consumer.reservation.slabs.aside = min(aside, self._batching.parked_jobs)

    def _wait_for_database(self, undone: _Pairs) -> None:
        """Put the jobs back in front and give PostgreSQL time; nothing is counted."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            events.database_lost(reason=undone[0][1].error or "")
        jobs = [one for one, _ in undone]
        _unstart(jobs)
        self._put_back(jobs)
        self._pause()

    def _pause(self) -> None:
        if not self.is_paused:
            self.is_paused = True
            self._lost_attempts += 1
            self._later(backoff(self._lost_attempts), self._resume)

    def _resume(self) -> None:
        self.is_paused = False
        self._tick_soon()

    def _database_answered(self) -> None:
        self._lost_attempts = 0
        if self._lost_at is not None:
            events.database_back(seconds=time.monotonic() - self._lost_at)
            self._lost_at = None

    def _go_first(self, jobs: list[Waiting]) -> None:
        """Let jobs leave next that were not begun."""
        _unstart(jobs)
        self._put_back(jobs)

    def _go_alone(self, jobs: list[Waiting]) -> None:
        """Let jobs that take long wait for their turn, behind others of that sort."""
        _unstart(jobs)
        holds = self._consumer.reservation.slabs.holds
        for one in filter(holds, jobs):
            one.go_alone()
            self._waiting.add(one)
        self.count_aside()

    def _wait_for_locks(self, later: _Pairs) -> None:
        """Park jobs until a lock may be gone, and set a time to try each lane again."""
        holds = self._consumer.reservation.slabs.holds
        later = [(one, settlement) for one, settlement in later if holds(one)]
        now = time.monotonic()
        for one, settlement in later:
            one.subject = one.subject or settlement.subject
            one.set_apart(settlement.fate)
        _unstart([one for one, _ in later])
        reasons = {one.apart: settlement.error or "" for one, settlement in later}
        newly = [lane for lane in reasons if lane not in self._parking]
        first_put_off = {one.apart for one, _ in later if one.first_busy_at is None}
        for one, _ in later:
            self._parking.park(one, now)
        self.count_aside()
        for lane in newly:
            delay = self._parking.pause_seconds(lane, now, _jitter())
            if lane in first_put_off:
                jobs, why = self._parking.jobs(lane), reasons[lane]
                events.jobs_put_off(waiting_for=lane, jobs=jobs, seconds=delay, reason=why)
            self._later(delay, self._probe, lane, self._generation)

    def _probe(self, lane: str, generation: int) -> None:
        """Try again the jobs that waited for one lock."""
        if generation != self._generation:
            return
        for one in self._parking.leave(lane):
            self._waiting.add(one)
        self.count_aside()
        self._tick_soon()

    def _put_back(self, jobs: list[Waiting]) -> None:
        holds = self._consumer.reservation.slabs.holds
        self._waiting.put_back([one for one in jobs if holds(one)])

    def _later(self, seconds: float, action: Any, *arguments: Any) -> None:
        self._consumer.timer.call_after(seconds, action, arguments)


def backoff(failures: int) -> float:
    """Return how long to wait after so many failures in a row."""
    return backoff_seconds(failures, _jitter())


def is_out_of_time(info: Any) -> bool:
    """Whether a child was ended because its batch took too long."""
    return isinstance(_error_of(info), TimeLimitExceeded)


def _unstart(jobs: Iterable[Waiting]) -> None:
    for one in jobs:
        if isinstance(one.request, Request):
            one.request.unstart()


def _death(info: Any) -> str | None:
    """Say how a child died; None if it lives and refused the batch as a whole."""
    error = _error_of(info)
    if isinstance(error, TimeLimitExceeded):
        return f"it ran longer than {error.args[0]:g} s and was killed"
    if isinstance(error, WorkerLostError | Terminated | SystemExit):
        return str(error)
    return None


def _error_of(info: Any) -> Any:
    # billiard wraps what it raises in the main process in a traceback's text.
    return getattr(info.exception, "exc", info.exception)


def _jitter() -> float:
    return random.random()  # noqa: S311 - spreads retries, guards nothing
