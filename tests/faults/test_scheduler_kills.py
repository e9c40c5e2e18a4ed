"""Two schedulers as processes, killed at the tick: each tick happens once all the same."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest

from tests.faults.planted_scheduler import TOKEN, Moment
from tests.integration.schedulers import (
    SchedulerProcess,
    decided,
    neglect,
    noted,
    noted_and_enqueued,
)
from tests.integration.shop import query
from tests.waiting import wait_for

Env = dict[str, str]
Make = Callable[[], SchedulerProcess]

HEADER = """/* celeriac
title = "Counts"
{schedule}
*/
SELECT 1 AS one
"""
MINUTELY = '[schedule]\ncron = "* * * * *"\nmissed = "all"'
MODULE = "tests.faults.planted_scheduler"
#: A row of the outbox that somebody has inserted and not committed, in the way of a tick's.
IN_THE_WAY = """
    INSERT INTO celeriac.outbox (id, task, body, run_at)
    SELECT to_char(now() - interval '30 min', '"tick:counts:"YYYY-MM-DD"T"HH24:MI:"00Z"'),
        '', '', now()
"""
#: The scheduler that waits for it, in the middle of its statement.
WAITING = """
    SELECT application_name FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))
    AND application_name LIKE 'celeriac scheduler %%'
"""


@pytest.fixture
def env(worker_env: Env, tmp_path: Path) -> Env:
    """Settings of schedulers on a catalog with one report for every minute, and one unscheduled."""
    reports = tmp_path / "catalog" / "reports"
    reports.mkdir(parents=True)
    (reports / "counts.sql").write_text(HEADER.format(schedule=MINUTELY))
    (reports / "other.sql").write_text(HEADER.format(schedule=""))
    return worker_env | {
        "CELERIAC_CATALOG": str(reports.parent),
        TOKEN: str(tmp_path / "token"),
    }


@pytest.fixture
def make(env: Env) -> Iterator[Make]:
    """Start scheduler processes; those that still run at the end are killed."""
    made: list[SchedulerProcess] = []

    def start() -> SchedulerProcess:
        made.append(SchedulerProcess(env, module=MODULE))
        return made[-1].start(wait=False)

    yield start
    for scheduler in made:
        scheduler.kill()


def assert_each_minute_once(database: str) -> None:
    """Wait until all that was missed is decided; require one job for each minute of the hour."""
    wait_for(lambda: len(noted(database)) >= 60, what="an hour of ticks")
    ticks, ids = noted_and_enqueued(database)
    assert [ticks[0] + timedelta(minutes=n) for n in range(len(ticks))] == ticks
    assert [f"tick:counts:{tick:%Y-%m-%dT%H:%M:%SZ}" for tick in ticks] == ids


def kill_inside(database: str) -> None:
    """Make an hour due, and kill the scheduler that has inserted half of it."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute(IN_THE_WAY)
        neglect(database, timedelta(hours=1))
        pid = connection.info.backend_pid
        ((name,),) = wait_for(lambda: query(database, WAITING, (pid,)), what="one to wait")
        os.kill(int(name.split(":")[-2]), signal.SIGKILL)


def survivor(crew: list[SchedulerProcess]) -> SchedulerProcess:
    """Wait until one of two has died, and return the other."""
    wait_for(lambda: not all(one.is_running for one in crew), 60, "one of two to die")
    (left,) = [one for one in crew if one.is_running]
    return left


def test_each_tick_once_whoever_dies_when(env: Env, make: Make) -> None:
    """Killed before the commit, behind it and inside the statement, one of two, nothing differs."""
    database, token = env["CELERIAC_DATABASE_URL"], Path(env[TOKEN])
    crew = [make()]
    for moment in (*Moment, "inside"):
        crew.append(make())
        for one in crew:
            one.wait_ready()
        wait_for(lambda: decided(database), what="a scheduler to look for the first time")
        query(database, "TRUNCATE celeriac.tick, celeriac.outbox")
        if moment == "inside":
            kill_inside(database)
        else:
            token.write_text(moment)
            neglect(database, timedelta(hours=1))
        crew = [survivor(crew)]
        assert_each_minute_once(database)

    (left,) = crew
    left.stop()
    assert (0, True) == (left.returncode, "scheduler stopped" in left.log)
    assert (True, False) == ("report='counts' cron='* * * * *'" in left.log, "other" in left.log)
