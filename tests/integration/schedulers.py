"""Schedulers to test: turn by turn in the test's own process, or as processes to be killed."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count

from postgres.pool import Pool, PoolLimits
from postgres.session import Session
from tasks.reports.declared.schedule import Missed, Schedule
from tests.integration.shop import query
from tests.workers import Worker
from worker.schedule.plan import Plan
from worker.schedule.scheduler import Scheduler

KEEP = timedelta(days=30)
_numbers = count(1)

#: As if no scheduler had run for so long.
NEGLECT = "UPDATE celeriac.schedule SET decided_until = clock_timestamp() - %s"

LONG_AGO = "UPDATE celeriac.schedule_watch SET at = at - %s"


def plan_of(report: str, cron: str, missed: Missed = Missed.ALL, zone: str = "UTC") -> Plan:
    """Make the plan of a report that asks for nothing in particular."""
    return Plan(report, Schedule(cron, zone), missed)


@contextmanager
def scheduler_on(database: str, plans: Sequence[Plan]) -> Iterator[Scheduler]:
    """Make a scheduler of these plans; nothing happens before its ``turn``."""
    session = Session(application_name=f"scheduler-{next(_numbers)}")
    pool = Pool(database, PoolLimits(1), session)
    try:
        yield Scheduler(plans, KEEP, pool)
    finally:
        pool.close()


class SchedulerProcess(Worker):
    """``python -m worker schedule``, or a test's module that runs it."""

    def __init__(self, env: Mapping[str, str], *, module: str = "worker") -> None:
        super().__init__(env, name=f"scheduler-process-{next(_numbers)}")
        self._command = [sys.executable, "-m", module, "schedule"]

    @property
    def is_ready(self) -> bool:
        """Whether it says that it schedules."""
        return "scheduler ready" in self.log


def neglect(database: str, missing: timedelta) -> None:
    """Let every schedule look as if no scheduler had run for so long."""
    query(database, NEGLECT, (missing,))


def time_passes(database: str, plans: Sequence[Plan], minutes: int) -> None:
    """Let a scheduler of these plans be there for so long, a minute at a time."""
    for _ in range(minutes):
        nobody_looks(database, timedelta(minutes=1))
        with scheduler_on(database, plans) as scheduler:
            scheduler.turn()


def nobody_looks(database: str, missing: timedelta) -> None:
    """Let it look as if the last scheduler, whatever its plans, was there so long ago."""
    query(database, LONG_AGO, (missing,))


def decided(database: str) -> dict[str, datetime]:
    """Return until when the schedules are decided, by report."""
    return dict(query(database, "SELECT report, decided_until FROM celeriac.schedule"))


def noted(database: str) -> list[tuple[str, datetime]]:
    """Return the ticks that became jobs."""
    return query(database, "SELECT report, tick FROM celeriac.tick ORDER BY report, tick")


def noted_and_enqueued(database: str) -> tuple[list[datetime], list[str]]:
    """Return the ticks and the ids of the outbox of one instant: a minute may begin any time."""
    ticks = "SELECT array_agg(tick ORDER BY tick) FROM celeriac.tick"
    ids = "SELECT array_agg(id ORDER BY id) FROM celeriac.outbox"
    (found,) = query(database, f"SELECT ({ticks}), ({ids})")
    return found


def enqueued(database: str) -> list[str]:
    """Return the ids of the outbox."""
    return [id_ for (id_,) in query(database, "SELECT id FROM celeriac.outbox ORDER BY id")]
