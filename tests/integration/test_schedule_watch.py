"""What schedulers make of a time without them, or without a schedule; and of other trouble."""

import threading
from datetime import timedelta

import pytest

from postgres.migrate import migrate
from tests.integration.schedulers import (
    decided,
    enqueued,
    neglect,
    nobody_looks,
    noted,
    plan_of,
    scheduler_on,
    time_passes,
)
from tests.integration.shop import query
from tests.waiting import wait_for
from worker.schedule.plan import Plan

MINUTELY = plan_of("counts", "* * * * *")
CHANGED = plan_of("counts", "*/5 * * * *")
OTHER = plan_of("balance", "0 0 1 1 *")
HOUR, DAYS = timedelta(hours=1), timedelta(days=10)
MIGRATE = "python -m worker migrate"
OUTBOX = """
    INSERT INTO celeriac.outbox (id, task, body, run_at)
    VALUES (%s, 'celeriac.report', %s, clock_timestamp())
"""
LEDGER = """
    INSERT INTO celeriac.job
        (id, task, subject, state, digest, batch, worker, committed_at)
    VALUES (%s, 'celeriac.report', 'counts', 'committed', '', 1, 'w', clock_timestamp())
"""
#: More than a schedule may be away for.
AWAY_MINUTES = 7


@pytest.mark.parametrize(
    "meanwhile", [[CHANGED], [OTHER], []], ids=["changed", "without-it", "nothing-scheduled"]
)
def test_a_schedule_that_returns_begins_now(database: str, meanwhile: list[Plan]) -> None:
    """Ten days with another expression, or without the report, are not made up for."""
    with scheduler_on(database, [MINUTELY]) as before:
        before.turn()
    ((now,),) = query(database, "SELECT clock_timestamp()")
    neglect(database, DAYS)

    time_passes(database, meanwhile, AWAY_MINUTES)
    with scheduler_on(database, [MINUTELY]) as again:
        again.turn()
        again.turn()

    assert [] == [tick for report, tick in noted(database) if report == "counts" and tick < now]
    assert {True} == {
        until >= now
        for (until,) in query(
            database,
            "SELECT decided_until FROM celeriac.schedule WHERE report = 'counts' AND cron = %s",
            (MINUTELY.schedule.cron,),
        )
    }


def test_an_outage_is_made_up_for_by_two_catalogs(database: str) -> None:
    """Old and new schedulers that come back one after the other make up for their own reports."""
    for _ in range(2):
        time_passes(database, [CHANGED], 1)
        time_passes(database, [MINUTELY], 1)
    neglect(database, HOUR)
    nobody_looks(database, HOUR)

    time_passes(database, [CHANGED], 2)
    fives = len(noted(database))
    time_passes(database, [MINUTELY], 1)

    # Far from a tick a minute.
    assert 12 <= fives <= 30
    assert len(noted(database)) >= 60


def test_a_schedule_that_is_watched_is_never_away(database: str) -> None:
    """However long schedulers of other catalogs are there too, missed ticks are made up for."""
    for _ in range(AWAY_MINUTES):
        time_passes(database, [MINUTELY], 1)
        time_passes(database, [OTHER], 1)
    neglect(database, HOUR)

    time_passes(database, [MINUTELY], 1)

    assert len(noted(database)) >= 60


def test_a_clock_that_is_set_back_unsettles_nothing(database: str) -> None:
    """With a watch from the future nothing counts as away, and the next minute counts again."""
    time_passes(database, [MINUTELY], 1)
    nobody_looks(database, -DAYS)
    neglect(database, HOUR)

    time_passes(database, [MINUTELY], 2)

    assert len(noted(database)) >= 60
    watched = "SELECT watched >= interval '1 min', at < now() FROM celeriac.schedule_watch"
    assert [(True, True)] == query(database, watched)


def test_a_database_that_is_not_migrated_is_said_once(
    empty_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Until somebody migrates it, a scheduler waits, and has named the command once."""
    caplog.set_level("INFO")
    stop = threading.Event()
    tries: list[str] = []
    with scheduler_on(empty_database, [MINUTELY]) as scheduler:
        scheduler.tell = tries.append
        thread = threading.Thread(target=scheduler.run, args=(stop,))
        thread.start()
        wait_for(lambda: len(tries) >= 3, what="three tries")
        migrate(empty_database)
        wait_for(lambda: tries[-1] == "", what="the first look")
        stop.set()
        thread.join(60)

    assert (1, 1) == tuple(caplog.text.count(words) for words in ("in trouble", "is back"))
    assert (1, True) == (caplog.text.count(MIGRATE), MIGRATE in tries[0])


def test_an_id_that_somebody_took_is_said(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """Another job under a tick's id stays, in the outbox or in the ledger, and is warned of."""
    with scheduler_on(database, [MINUTELY]) as scheduler:
        scheduler.turn()
        neglect(database, HOUR)
        ticks = MINUTELY.schedule.ticks(decided(database)["counts"])
        other, same, done = (MINUTELY.job(next(ticks)) for _ in range(3))
        query(database, OUTBOX, (other.id, "[[], {}, {}]"))
        query(database, OUTBOX, (same.id, same.body))
        query(database, LEDGER, (done.id,))

        scheduler.turn()

    kept = dict(query(database, "SELECT id, body FROM celeriac.outbox"))
    assert ("[[], {}, {}]", same.body) == (kept[other.id], kept[same.id])
    warnings = [line for line in caplog.messages if "taken before it fell due" in line]
    assert [True] == [f"jobs=2 last='{done.id}'" in line for line in warnings]
    assert len(enqueued(database)) >= 60
