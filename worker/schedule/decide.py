"""Decide which ticks become jobs, and which were missed: pure, so a fake clock tests it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile

from tasks.reports.declared.schedule import Missed, Schedule

#: A tick that is seen to within so long was not missed.
ON_TIME = timedelta(seconds=60)
#: Of one decision, which is one transaction; the next ones go on from there.
MOST_TICKS = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """The ticks that become jobs, oldest first, how many do not, and up to when that is all."""

    ticks: Sequence[datetime]
    missed: int
    until: datetime
    #: Ticks before this time were too old, and are not even counted; None if there were none.
    given_up: datetime | None = None


def decide(
    schedule: Schedule, missed: Missed, since: datetime, now: datetime, keep: timedelta
) -> Decision:
    """Decide the ticks from ``since`` to ``now``; of those older than ``keep`` at most one runs.

    However long nobody looked, what is counted and made up one by one is at most ``keep`` long.
    """
    horizon = max(since, now - keep)
    first = next(schedule.ticks(since), now)
    given_up = horizon if first <= horizon < now else None
    passed = takewhile(lambda tick: tick <= now, schedule.ticks(horizon))
    if missed is Missed.ALL:
        ticks = list(islice(passed, MOST_TICKS))
        return Decision(ticks, 0, ticks[-1] if ticks else now, given_up)
    count, last = 0, None
    for tick in passed:
        count, last = count + 1, tick
    if last is None and given_up and missed is Missed.LAST:
        return _old(schedule, first, horizon, now)
    runs = last is not None and (missed is Missed.LAST or now - last < ON_TIME)
    return Decision([last] if last and runs else [], count - runs, last or now, given_up)


def _old(schedule: Schedule, first: datetime, horizon: datetime, now: datetime) -> Decision:
    """Run the last tick though it is too old: one that comes so seldom is waited for."""
    later = takewhile(lambda tick: tick <= horizon, schedule.ticks(first))
    last = (deque(later, maxlen=1) or [first])[0]
    return Decision([last], 0, now, last if first < last else None)
