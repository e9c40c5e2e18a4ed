"""When a cron expression ticks in a time zone, through both changes of its clocks.

The library says at which times a clock on the wall matches; that it is set
forward and back is settled here, by the rules of Debian's cron:

- An expression that names its times (``15 2 * * *``) ticks once for each of them. A time that
  does not exist that day ticks at the first moment after it; one that comes twice ticks at the
  first of the two.
- One that runs through (minute or hour begin with ``*``) ticks whenever the wall shows a time that
  matches: twice in an hour that comes twice, never in one that does not exist.
"""

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

#: No zone sets its clocks back by more.
_LONGEST_REPEAT = timedelta(hours=3)
_MINUTE = timedelta(minutes=1)


def ticks(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Yield the ticks after a time, in UTC and in order; ends where none comes for 50 years."""
    # A time on the wall before this one may come a second time.
    walls = CronSim(cron, after.astimezone(zone).replace(tzinfo=None) - _LONGEST_REPEAT)
    runs_through = any(field.startswith("*") for field in cron.split()[:2])
    found = _whenever(walls, zone) if runs_through else (_first(wall, zone) for wall in walls)
    for moment in found:
        # What was jumped over together comes at the same moment.
        if moment > after:
            after = moment
            yield moment


def _first(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment at which the wall shows this time, or has jumped over it."""
    while not (moments := _repeated(wall, zone)):
        wall += _MINUTE
    return moments[0]


def _whenever(walls: Iterable[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """Yield every moment at which the wall shows one of these times, in order."""
    waiting: list[datetime] = []
    for wall in walls:
        moments = _repeated(wall, zone)
        # Second occurrences wait until the wall has moved past them.
        while waiting and moments and waiting[0] < moments[0]:
            yield heapq.heappop(waiting)
        for moment in moments:
            heapq.heappush(waiting, moment)
    while waiting:
        yield heapq.heappop(waiting)


def _repeated(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return every moment at which the wall shows this time: none, one or two."""
    both = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    if both[0] == both[1]:
        return both[:1]
    return sorted(moment for moment in both if moment.astimezone(zone).replace(tzinfo=None) == wall)
