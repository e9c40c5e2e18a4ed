"""Schedulers on a real PostgreSQL, turn by turn: what falls due is enqueued, once."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from postgres.errors import Refused
from postgres.ticks import Step, Taken, take
from tasks.report import ReportPayload
from tasks.reports.declared.schedule import Missed, Schedule, TickAs
from tests.integration.schedulers import (
    KEEP,
    decided,
    enqueued,
    neglect,
    noted,
    plan_of,
    scheduler_on,
)
from tests.integration.shop import query
from tests.waiting import wait_for
from worker.schedule.plan import Plan
from worker.schedule.scheduler import LOOK_SECONDS, Scheduler

MINUTELY = plan_of("counts", "* * * * *")
YEARLY = plan_of("balance", "0 0 1 1 *", Missed.LAST)
HOUR = timedelta(hours=1)
BREAK = """
    SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
    WHERE application_name LIKE 'scheduler-%' AND datname = current_database()
"""


@pytest.fixture
def scheduler(database: str) -> Iterator[Scheduler]:
    """A scheduler that knows two schedules, one that ticks and one that hardly does."""
    with scheduler_on(database, [MINUTELY, YEARLY]) as scheduler:
        yield scheduler


def the_time(database: str) -> datetime:
    ((now,),) = query(database, "SELECT clock_timestamp()")
    return now


def minutes(first: datetime, last: datetime) -> list[tuple[str, datetime]]:
    """Return the ticks of every minute after one time, up to another."""
    start = first.replace(second=0, microsecond=0) + timedelta(minutes=1)
    count = int((last - start) / timedelta(minutes=1)) + 1
    return [("counts", start + timedelta(minutes=n)) for n in range(count)]


def test_a_new_schedule_begins_now(database: str, scheduler: Scheduler) -> None:
    """What would have ticked before anybody saw the schedule is not made up for."""
    before = the_time(database)

    pause = scheduler.turn()

    assert [] == enqueued(database)
    assert {"balance", "counts"} == {
        report for report, until in decided(database).items() if until >= before
    }
    assert 0 < pause <= LOOK_SECONDS


def test_missed_ticks_become_jobs_once(database: str, scheduler: Scheduler) -> None:
    """An hour of minutes is enqueued, each under an id of its own; another turn adds nothing."""
    scheduler.turn()
    neglect(database, HOUR)
    since = decided(database)["counts"]

    scheduler.turn()
    until = decided(database)["counts"]
    scheduler.turn()

    expected = minutes(since, until)
    assert len(expected) >= 60
    assert expected == noted(database)[: len(expected)]
    ids = [f"tick:counts:{tick:%Y-%m-%dT%H:%M:%SZ}" for _, tick in noted(database)]
    assert ids == enqueued(database)


def test_a_tick_is_a_question_of_its_own(database: str) -> None:
    """The job asks as the schedule says, with its tick in it, in words that a worker takes."""
    schedule = Schedule(
        "* * * * *",
        "Europe/Berlin",
        params={"least": 3},
        tick_params={"day": TickAs.DATE},
        format="csv",
    )
    with scheduler_on(database, [Plan("counts", schedule, Missed.LAST)]) as scheduler:
        scheduler.turn()
        neglect(database, HOUR)

        scheduler.turn()

    ((id_, body),) = query(database, "SELECT id, body FROM celeriac.outbox")
    args, asked, _ = json.loads(body)
    _, _, moment = id_.split(":", 2)
    tick = datetime.fromisoformat(moment)
    expected = {
        "name": "counts",
        "params": {"least": 3, "day": schedule.local(tick).date().isoformat()},
        "format": "csv",
        "tick": moment,
    }
    assert ([], expected) == (args, asked)
    assert tick == msgspec.convert(asked, ReportPayload).tick


def test_schedulers_share_the_ticks(database: str) -> None:
    """Of four at once, over and over, none enqueues what another did, and none is left out."""
    plans = [plan_of("counts", "* * * * *"), plan_of("halves", "*/2 * * * *")]
    errors: list[BaseException] = []
    gate = threading.Barrier(4)

    def compete() -> None:
        try:
            with scheduler_on(database, plans) as scheduler:
                scheduler.turn()
                for hours in range(1, 6):
                    if gate.wait() == 0:
                        neglect(database, hours * HOUR)
                    gate.wait()
                    scheduler.turn()
        except BaseException as error:  # noqa: BLE001 - told by the test, not by the thread
            errors.append(error)
            gate.abort()

    threads = [threading.Thread(target=compete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == errors
    found = noted(database)
    per_report = {
        name: [tick for report, tick in found if report == name] for name in ("counts", "halves")
    }
    # Several neglects overlap: what was enqueued for the shorter ones is there already.
    for name, every in (("counts", timedelta(minutes=1)), ("halves", timedelta(minutes=2))):
        ticks = per_report[name]
        assert [ticks[0] + n * every for n in range(len(ticks))] == ticks
        assert len(ticks) >= 5 * HOUR / every
    assert len(found) == len(enqueued(database))


def test_a_clock_that_is_set_back_repeats_nothing(
    database: str, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """What was decided for a time that comes again is not decided again, and that is said once."""
    scheduler.turn()
    neglect(database, HOUR)
    scheduler.turn()
    known = noted(database)
    # To the schedulers it is the same whether the clock goes back or the past goes on.
    query(database, "UPDATE celeriac.schedule SET decided_until = decided_until + interval '1 day'")

    scheduler.turn()
    scheduler.turn()
    ahead = noted(database)
    # And if somebody makes it begin again: the ticks themselves are unique.
    neglect(database, HOUR)
    scheduler.turn()

    assert (known, 1) == (ahead, caplog.text.count("the clock is behind"))
    again = noted(database)
    assert known == again[: len(known)]
    assert len(again) == len(enqueued(database)) == len(set(enqueued(database)))


def test_another_expression_begins_now(database: str, scheduler: Scheduler) -> None:
    """A schedule that was changed has missed nothing; the one before is left as it was."""
    scheduler.turn()
    neglect(database, HOUR)
    before = decided(database)

    with scheduler_on(database, [plan_of("counts", "*/5 * * * *")]) as changed:
        changed.turn()

    assert [] == enqueued(database)
    rows = query(database, "SELECT report, cron, decided_until FROM celeriac.schedule")
    kept = {report: until for report, cron, until in rows if cron != "*/5 * * * *"}
    assert (before, 3) == (kept, len(rows))


def test_who_decides_too_late_takes_nothing(database: str, scheduler: Scheduler) -> None:
    """A step from where another scheduler has moved on, forward or back, leaves all as it is."""
    scheduler.turn()
    neglect(database, HOUR)
    since = decided(database)["counts"]
    job = MINUTELY.job(since + HOUR)
    step = Step(MINUTELY.key, since, since + HOUR, [job])

    first = take(step, "celeriac.report", scheduler.pool)
    late = Step(MINUTELY.key, since, since + HOUR / 2, [MINUTELY.job(since + HOUR / 2)])
    second = take(late, "celeriac.report", scheduler.pool)

    assert (Taken([job.id], []), None) == (first, second)
    assert ([job.id], since + HOUR) == (enqueued(database), decided(database)["counts"])


def test_a_report_that_is_gone_leaves_its_rows(database: str, scheduler: Scheduler) -> None:
    """Without the report nothing ticks, and nothing of what is known of it goes."""
    scheduler.turn()
    neglect(database, HOUR)
    before = decided(database)

    with scheduler_on(database, [YEARLY]) as poorer:
        poorer.turn()
    with scheduler_on(database, []) as without:
        assert 0 < without.turn() <= LOOK_SECONDS

    assert (before, []) == (decided(database), enqueued(database))


def test_old_ticks_are_forgotten_but_for_the_newest(database: str, scheduler: Scheduler) -> None:
    """Of each report the last tick is kept, however old; others go after the horizon."""
    text = """
        INSERT INTO celeriac.tick (report, tick, job, enqueued_at)
        SELECT report, at, report || n, at
        FROM unnest(ARRAY['counts', 'gone']) AS report, generate_series(1, 3) AS n,
        LATERAL (SELECT timestamptz '2020-01-01Z' + n * interval '1 day' AS at) AS day
    """
    query(database, text)
    query(database, "INSERT INTO celeriac.tick VALUES ('counts', now() - %s, 'young')", (KEEP,))

    scheduler.turn()

    left = query(database, "SELECT job FROM celeriac.tick ORDER BY job")
    assert [("gone3",), ("young",)] == left


def test_a_stopped_scheduler_holds_up_nobody(database: str, scheduler: Scheduler) -> None:
    """Between two statements a scheduler holds no transaction and no lock."""
    scheduler.turn()
    neglect(database, HOUR)
    scheduler.turn()

    text = """
        SELECT state, (SELECT count(*) FROM pg_locks WHERE pg_locks.pid = activity.pid)
        FROM pg_stat_activity AS activity
        WHERE application_name LIKE 'scheduler-%' AND datname = current_database()
    """
    assert [("idle", 0)] == query(database, text)


def test_what_cannot_be_enqueued_was_not_decided(database: str, scheduler: Scheduler) -> None:
    """If the outbox refuses, the tick is still due: they are one transaction."""
    scheduler.turn()
    neglect(database, HOUR)
    before = decided(database)
    query(database, "ALTER TABLE celeriac.outbox ADD CONSTRAINT shut CHECK (task = 'none')")

    with pytest.raises(Refused, match="shut"):
        scheduler.turn()
    refused = (decided(database), noted(database))
    query(database, "ALTER TABLE celeriac.outbox DROP CONSTRAINT shut")
    scheduler.turn()

    assert (before, []) == refused
    assert len(noted(database)) >= 60


def test_an_outage_ends_by_itself(
    database: str, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    """A scheduler whose connection breaks says so, once, and enqueues what is due afterwards."""
    caplog.set_level("INFO")
    told: list[str] = []
    scheduler.tell = told.append
    stop = threading.Event()
    thread = threading.Thread(target=scheduler.run, args=(stop,))
    thread.start()
    wait_for(lambda: decided(database), what="the first look")

    query(database, BREAK)
    neglect(database, HOUR)
    wait_for(lambda: noted(database), what="the ticks")
    stop.set()
    thread.join(60)

    assert not thread.is_alive()
    assert (1, 1) == tuple(caplog.text.count(words) for words in ("in trouble", "is back"))
    assert ["", "PostgreSQL is in trouble", ""] == [
        told[n].partition(":")[0] for n in range(len(told)) if n == 0 or told[n] != told[n - 1]
    ]


def test_ids_fit_the_rules_of_ids() -> None:
    """The longest name of a report makes an id that any producer could have sent."""
    plan = plan_of("r" * 63, "* * * * *")

    job = plan.job(datetime(2026, 3, 29, 1, tzinfo=UTC))

    assert f"tick:{'r' * 63}:2026-03-29T01:00:00Z" == job.id
    assert len(job.id) <= 200
