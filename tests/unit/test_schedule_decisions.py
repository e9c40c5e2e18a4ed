"""Which ticks become jobs, on a fake clock: each once, and missed ones by the setting."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from random import Random

import pytest

from tasks.reports.declared.schedule import Missed, Schedule
from worker.schedule.decide import MOST_TICKS, decide

KEEP = timedelta(days=30)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HOURLY = Schedule("0 * * * *")


def day(month: int) -> datetime:
    return datetime(2026, month, 1, tzinfo=UTC)


def ticks_until(schedule: Schedule, begin: datetime, end: datetime) -> list[datetime]:
    return list(takewhile(lambda tick: tick <= end, schedule.ticks(begin)))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_year_of_looks_enqueues_each_tick_once(zone: str) -> None:
    """Looked at every half minute or so, with a clock that is often set back, none is lost."""
    schedule, random = Schedule("30 2 * * *", zone), Random(zone)
    begin = since = datetime(2026, 1, 1, tzinfo=UTC)
    enqueued: list[datetime] = []
    for tick in ticks_until(schedule, begin, begin + timedelta(days=365)):
        # Nothing can happen before; the nights of both changes are among these.
        now = tick - MINUTE / 2
        while since < tick:
            decision = decide(schedule, Missed.SKIP, since, now, KEEP)
            enqueued += decision.ticks
            # As the scheduler does: what has no tick yet is left as it is.
            since = decision.until if decision.ticks else since
            now += timedelta(seconds=random.choice([20, 40, -15]))
        # Set back: the same times come again, in the hour that comes twice too.
        back = now - random.random() * 2 * HOUR
        enqueued += decide(schedule, Missed.ALL, since, back, KEEP).ticks

    assert ticks_until(schedule, begin, begin + timedelta(days=365)) == enqueued
    assert 365 == len({tick.date() for tick in enqueued})


@pytest.mark.parametrize(
    ("missed", "expected", "given_up"),
    [
        (Missed.SKIP, [], 4),
        (Missed.LAST, [NOON], 3),
        (Missed.ALL, [NOON - 3 * HOUR, NOON - 2 * HOUR, NOON - HOUR, NOON], 0),
    ],
)
def test_missed_ticks_are_skipped_or_made_up(
    missed: Missed, expected: list[datetime], given_up: int
) -> None:
    """After four hours without a scheduler none of the ticks runs, or the last, or all in order."""
    decision = decide(HOURLY, missed, NOON - 4 * HOUR, NOON + 20 * MINUTE, KEEP)

    assert (expected, given_up, NOON) == (decision.ticks, decision.missed, decision.until)


def test_a_tick_seen_in_time_is_not_missed() -> None:
    """Within the first minute a tick runs even where missed ones are skipped."""
    late = decide(HOURLY, Missed.SKIP, NOON - 3 * HOUR, NOON + timedelta(seconds=59), KEEP)
    missed = decide(HOURLY, Missed.SKIP, NOON - 3 * HOUR, NOON + MINUTE, KEEP)

    assert ([NOON], 2) == (late.ticks, late.missed)
    assert ([], 3) == (missed.ticks, missed.missed)


def test_many_missed_ticks_come_in_pages() -> None:
    """A week of minutes is enqueued a few hundred at a time, each once."""
    schedule, since, now = Schedule("* * * * *"), NOON - timedelta(days=1), NOON
    pages, found = Counter[int](), list[datetime]()
    while (decision := decide(schedule, Missed.ALL, since, now, KEEP)).ticks:
        pages[len(decision.ticks)] += 1
        found += decision.ticks
        since = decision.until

    assert ticks_until(schedule, NOON - timedelta(days=1), NOON) == found
    assert {MOST_TICKS: 1440 // MOST_TICKS, 1440 % MOST_TICKS: 1} == pages


def test_what_is_older_than_the_horizon_is_given_up_and_said() -> None:
    """Of ticks that are too old none is made up one by one, and the decision says until when."""
    daily, begin = Schedule("0 12 * * *"), NOON - timedelta(days=60)

    found = {missed: decide(daily, missed, begin, NOON, KEEP) for missed in Missed}

    assert {NOON - KEEP} == {decision.given_up for decision in found.values()}
    assert {Missed.ALL: 30, Missed.LAST: 1, Missed.SKIP: 1} == {
        missed: len(decision.ticks) for missed, decision in found.items()
    }
    assert None is decide(daily, Missed.ALL, NOON - KEEP, NOON, KEEP).given_up
    # Nothing ticked between, so nothing was given up.
    assert None is decide(Schedule("0 0 1 1 *"), Missed.ALL, begin, NOON, KEEP).given_up


def test_the_last_tick_runs_however_old() -> None:
    """A tick of every quarter that was missed two months ago is made up, as it is the last."""
    quarterly, october = Schedule("0 0 1 */3 *"), day(10)

    one = decide(quarterly, Missed.LAST, day(9), NOON, KEEP)
    two = decide(quarterly, Missed.LAST, day(6), NOON, KEEP)
    skipped = decide(quarterly, Missed.SKIP, day(6), NOON, KEEP)

    assert ([october], None, NOON) == (one.ticks, one.given_up, one.until)
    assert ([october], october) == (two.ticks, two.given_up)
    assert ([], NOON - KEEP) == (skipped.ticks, skipped.given_up)
