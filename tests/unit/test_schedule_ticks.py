"""When schedules tick: a year in several time zones, through both changes of their clocks."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest

from tasks.reports.declared.ticks import ticks

YEAR = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
#: Days on which clocks are set forward or back, half an hour on Lord Howe, at midnight in Santiago.
CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/Santiago", "2026-09-06"),
    ("America/Santiago", "2026-04-05"),
]


def between(cron: str, zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """Return the ticks from one time to before another."""
    found = ticks(cron, ZoneInfo(zone), begin - timedelta(microseconds=1))
    return list(takewhile(lambda tick: tick < end, found))


def around(cron: str, zone: str, day: str) -> list[str]:
    """Return the ticks of one day in its zone, in UTC, as hours and minutes."""
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (begin + timedelta(days=1)).astimezone(UTC)
    return [f"{tick:%H:%M}" for tick in between(cron, zone, begin.astimezone(UTC), end)]


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"]
)
def test_a_time_of_day_ticks_once_a_day_all_year(zone: str) -> None:
    """Half past two comes once on each of 365 days, also where it is skipped or comes twice."""
    begin, end = (year.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for year in YEAR)

    found = between("30 2 * * *", zone, begin, end)

    days = Counter(tick.astimezone(ZoneInfo(zone)).date() for tick in found)
    assert {date(2026, 1, 1) + timedelta(days=n): 1 for n in range(365)} == dict(days)
    assert found == sorted(found)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_every_hour_is_every_hour_all_year(zone: str) -> None:
    """What runs through never pauses and never comes twice at once, whatever the clocks do."""
    found = between("0 * * * *", zone, *YEAR)

    assert (365 * 24, {HOUR}) == (len(found), {after - before for before, after in pairwise(found)})


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize("cron", ["30 * * * *", "15 */2 * * *", "*/7 2,0 * * *"])
def test_what_runs_through_ticks_whenever_the_wall_matches(cron: str, zone: str, day: str) -> None:
    """Minute by minute over a change, ticks are where a clock on the wall matches."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
    minutes = [begin + n * MINUTE for n in range(2 * 24 * 60)]
    wanted = {
        (hour, minute)
        for minute_of_day in range(24 * 60)
        for hour, minute in [divmod(minute_of_day, 60)]
        if is_matched(cron, hour, minute)
    }

    found = between(cron, zone, begin, begin + timedelta(days=2))

    walls = [(minute, minute.astimezone(ZoneInfo(zone))) for minute in minutes]
    assert [minute for minute, wall in walls if (wall.hour, wall.minute) in wanted] == found


def is_matched(cron: str, hour: int, minute: int) -> bool:
    """Say of the expressions above, by hand, when they match."""
    return {
        "30 * * * *": minute == 30,
        "15 */2 * * *": minute == 15 and hour % 2 == 0,
        "*/7 2,0 * * *": minute % 7 == 0 and hour in {2, 0},
    }[cron]


@pytest.mark.parametrize(
    ("cron", "zone", "day", "expected"),
    [
        # 02:00 to 03:00 does not exist: the first moment after it, once for all of them.
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["01:00"]),
        ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29", ["01:00", "01:30"]),
        ("*/20 2,3 * * *", "Europe/Berlin", "2026-03-29", ["01:00", "01:20", "01:40"]),
        # 02:00 to 03:00 comes twice.
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["00:30"]),
        ("30 2 * * *", "America/New_York", "2026-03-08", ["07:00"]),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["05:30"]),
        ("30 * * * *", "Europe/Berlin", "2026-10-25", [f"{h:02}:30" for h in (22, 23, *range(23))]),
        # The day begins at one o'clock.
        ("0 0 * * *", "America/Santiago", "2026-09-06", ["04:00"]),
        # Half an hour is skipped, or comes twice.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["15:30"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["14:45"]),
    ],
)
def test_hours_that_are_skipped_or_come_twice(
    cron: str, zone: str, day: str, expected: list[str]
) -> None:
    """A time that does not exist ticks right after it; one that comes twice, the first time."""
    assert expected == around(cron, zone, day)


@pytest.mark.parametrize("cron", ["15 2 * * *", "*/15 * * * *", "0,30 2,3 * * *"])
def test_ticks_are_the_same_from_wherever_one_looks(cron: str) -> None:
    """Begun at any minute of an hour that comes twice, what follows is what followed before."""
    begin = datetime(2026, 10, 24, 23, tzinfo=UTC)
    end = begin + 5 * HOUR
    whole = between(cron, "Europe/Berlin", begin, end)

    for minute in range(0, 180, 11):
        moment = begin + minute * MINUTE
        later = between(cron, "Europe/Berlin", moment, end)
        assert [tick for tick in whole if tick >= moment] == later
