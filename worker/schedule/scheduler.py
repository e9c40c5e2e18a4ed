"""The life of a scheduler: look at the clock, enqueue what fell due, wait for the next tick.

Several may run at once. All go by PostgreSQL's clock, and a tick is decided and
enqueued in one statement: whoever dies, before it or behind it, leaves nothing half done.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event

from celeriac.contract import REPORT
from postgres import ticks as store
from postgres.errors import PostgresError
from postgres.ticks import Key, Step, Taken
from postgres.transaction import Lender
from worker import events
from worker.health.sign import Tell, tell_nobody
from worker.relay.trouble import Trouble
from worker.schedule.decide import ON_TIME, Decision, decide
from worker.schedule.plan import Plan

#: PostgreSQL's clock is looked at as often as this, and at each tick: it may have been set.
LOOK_SECONDS = 1.0
#: Before what another scheduler decided just now is looked at again, and to a tick that is due.
LEAST_SECONDS = 0.02
PURGE_SECONDS = 3600.0
#: A scheduler says which schedules it knows as often as this, by PostgreSQL's clock.
WATCH_EVERY = timedelta(seconds=60)


@dataclass(slots=True)
class Scheduler:
    """One scheduler of these plans; of ticks older than ``keep`` at most the last is made up."""

    plans: Sequence[Plan]
    keep: timedelta
    pool: Lender
    clock: Callable[[], float] = time.monotonic
    #: Who is told after each turn how it went.
    tell: Tell = tell_nobody
    _next: dict[Key, tuple[datetime, datetime | None]] = field(default_factory=dict, init=False)
    _purge_at: float = field(default=0.0, init=False)
    _watched_at: datetime | None = field(default=None, init=False)
    _is_behind: bool = field(default=False, init=False)

    def run(self, stop: Event) -> None:
        """Schedule until asked to stop; waits for PostgreSQL, however long it is away."""
        trouble = Trouble(self.clock)
        while not stop.is_set():
            try:
                pause = self.turn()
                trouble.is_over()
                self.tell("")
            except PostgresError as error:
                pause = trouble.with_postgres(error)
                self.tell(f"PostgreSQL is in trouble: {error}")
            stop.wait(pause)

    def turn(self) -> float:
        """Enqueue what is due; return how many seconds to wait before the next turn."""
        now, decided = self._look()
        looked = self.clock()
        self._mind_the_clock(now, decided)
        nearest = now + timedelta(seconds=LOOK_SECONDS)
        for plan in self.plans:
            since = decided.get(plan.key, now)
            tick = self._tick_after(plan, since)
            if tick is not None and tick <= now:
                tick = self._tick_after(plan, self._take(plan, since, now))
            nearest = min(nearest, tick or nearest)
        self._purge()
        pause = (nearest - now).total_seconds() - (self.clock() - looked)
        return max(LEAST_SECONDS, pause)

    def _look(self) -> tuple[datetime, dict[Key, datetime]]:
        """Return the time, and until when everything is decided; what is new begins now.

        Without plans too: what is in no catalog any more is not to look like an outage.
        """
        keys = [plan.key for plan in self.plans]
        now, decided = store.read_schedules(keys, self.pool)
        last = self._watched_at
        if last is None or abs(now - last) >= WATCH_EVERY or len(decided) < len(keys):
            store.watch(keys, self.pool)
            self._watched_at = now
            now, decided = store.read_schedules(keys, self.pool)
        return now, decided

    def _mind_the_clock(self, now: datetime, decided: dict[Key, datetime]) -> None:
        """Say, once, that the clock is behind what it showed before: nothing ticks until then."""
        latest = max(decided.values(), default=now)
        is_behind = latest - now > ON_TIME
        if is_behind and not self._is_behind:
            events.clock_went_back(until=f"{latest:%Y-%m-%dT%H:%M:%SZ}")
        self._is_behind = is_behind

    def _tick_after(self, plan: Plan, since: datetime) -> datetime | None:
        """Return the next tick; worked out once, for it is the same until the tick is decided."""
        known = self._next.get(plan.key)
        if known is None or known[0] != since:
            known = self._next[plan.key] = since, next(plan.schedule.ticks(since), None)
        return known[1]

    def _take(self, plan: Plan, since: datetime, now: datetime) -> datetime:
        """Decide the ticks of a plan, and enqueue; return until when they are decided."""
        decision = decide(plan.schedule, plan.missed, since, now, self.keep)
        jobs = [plan.job(tick) for tick in decision.ticks]
        taken = store.take(Step(plan.key, since, decision.until, jobs), REPORT, self.pool)
        if taken is None:
            return since
        _tell_what_came_of_it(plan, decision, taken, now)
        return decision.until

    def _purge(self) -> None:
        if self.clock() >= self._purge_at:
            store.purge_ticks(self.keep, self.pool)
            self._purge_at = self.clock() + PURGE_SECONDS


def _tell_what_came_of_it(plan: Plan, decision: Decision, taken: Taken, now: datetime) -> None:
    if decision.given_up is not None:
        events.ticks_given_up(report=plan.report, before=_words(decision.given_up))
    if decision.missed:
        events.ticks_missed(report=plan.report, ticks=decision.missed, missed=plan.missed.value)
    if taken.occupied:
        events.tick_ids_taken(report=plan.report, ids=taken.occupied)
    if taken.enqueued:
        late = (now - decision.ticks[-1]).total_seconds()
        events.ticks_enqueued(report=plan.report, ids=taken.enqueued, late_seconds=late)


def _words(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
