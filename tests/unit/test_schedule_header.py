"""What a report may declare of its schedule, and what is said of anything else."""

import tomllib
import zoneinfo
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tasks.reports.declared.schedule import Missed, Schedule, check_schedule, schedule_of
from tasks.reports.values import BadValue

TICK = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)
WEEKDAYS = "15 6 * * mon-fri"


class Declared(msgspec.Struct, frozen=True):
    """The part of a header that is about its schedule."""

    schedule: str | Schedule | None = None
    timezone: str | None = None


def read(toml: str) -> Schedule | None:
    declared = msgspec.convert(tomllib.loads(toml), Declared)
    return schedule_of(declared.schedule, declared.timezone)


def test_line_and_table_say_the_same() -> None:
    """A cron expression with a zone, and a table, are two ways to write one schedule."""
    line = read(f'schedule = "{WEEKDAYS}"\ntimezone = "Europe/Berlin"')
    table = read(f'[schedule]\ncron = "{WEEKDAYS}"\ntimezone = "Europe/Berlin"')

    assert line == table == Schedule(WEEKDAYS, "Europe/Berlin")
    assert Schedule(WEEKDAYS, "UTC") == read(f'schedule = "{WEEKDAYS}"')
    assert None is read("")


def test_table_says_what_is_asked() -> None:
    """Missed ticks, parameters and the format are the table's; a tick's time can be a parameter."""
    found = read(
        f'[schedule]\ncron = "{WEEKDAYS}"\ntimezone = "Europe/Berlin"\nmissed = "all"\n'
        'format = "csv"\nparams = {least = 3, from = 2026-01-01}\n'
        'tick_params = {day = "date", at = "time"}'
    )

    assert found is not None
    assert (Missed.ALL, "csv") == (found.missed, found.format)
    assert {
        "least": 3,
        "from": "2026-01-01",
        # In Berlin it is the next day by then.
        "day": "2026-03-30",
        "at": "2026-03-30T00:30:00+02:00",
    } == found.params_at(TICK)


@pytest.mark.parametrize(
    "cron",
    [
        *("61 * * * *", "* * * *", "* * * * * *", "@daily", "", "*/0 * * * *", "1- * * * *"),
        *("0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "* * * * L", "* * L-3 * *", "* * ? * *"),
        *("\u00b2/1 * * * *", "* * * * mon#1/2", "5/L * * * *", "-5 * * * *", "1.5 * * * *"),
        *("9" * 100 + " * * * *", "9" * 5000 + " * * * *", "1," * 90 + "x * * * *"),
    ],
)
def test_bad_cron_is_refused_with_an_example(cron: str) -> None:
    """Whatever is no cron expression of five fields, or never comes, is said to be none."""
    with pytest.raises(
        ValueError, match=r"five fields of cron .*15 6 .* mon-fri.*, got '"
    ) as caught:
        Schedule(cron)

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "zone", ["Mars/Base", "", "Europe", "../../etc/passwd", "/etc/passwd", "\0", "x/" * 3000]
)
def test_unknown_zone_is_refused_with_an_example(zone: str) -> None:
    """A name that leads to no time zone, or out of their folder, is said to be none."""
    with pytest.raises(ValueError, match=r'IANA database, such as "Europe/Berlin", got ') as caught:
        schedule_of(WEEKDAYS, zone)

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "name", ["localtime", "LocalTime", "posixrules", "Factory", "right/UTC", "posix/UTC"]
)
def test_zone_of_the_machine_is_refused(name: str, tmp_path: Path) -> None:
    """A name that means something else on another machine is refused, though a file has it."""
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes((resources.files("tzdata") / "zoneinfo" / "UTC").read_bytes())
    zoneinfo.reset_tzpath([tmp_path])
    try:
        is_there = zoneinfo.ZoneInfo.no_cache(name).key == name
        with pytest.raises(
            ValueError, match='IANA database, such as "Europe/Berlin", got '
        ) as caught:
            schedule_of(WEEKDAYS, name)
    finally:
        zoneinfo.reset_tzpath()

    assert (True, True) == (is_there, repr(name) in str(caught.value))


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('timezone = "UTC"', "timezone needs a schedule"),
        (f'timezone = "UTC"\n[schedule]\ncron = "{WEEKDAYS}"', r"write it into \[schedule\]"),
        (f'[schedule]\ncron = "{WEEKDAYS}"\nmissed = "maybe"', "maybe"),
        ('[schedule]\ncorn = "1"', "corn"),
        ("schedule = 5", "got `int`"),
        (
            '[schedule]\ncron = "0 0 * * *"\nparams = {day = 1}\ntick_params = {day = "date"}',
            "day is in params and in tick_params",
        ),
    ],
)
def test_other_mistakes_are_named(toml: str, words: str) -> None:
    """Each says which entry is wrong."""
    with pytest.raises(ValueError, match=words):
        read(toml)


def test_what_the_report_does_not_answer_is_refused() -> None:
    """Parameters that it does not take, and formats that it is not written in, are no schedule."""

    def values(given: Any) -> None:
        if given:
            raise BadValue(f"params may hold none, got {sorted(given)}")

    with pytest.raises(ValueError, match="schedule: params may hold none, got \\['day'\\]"):
        check_schedule(Schedule(WEEKDAYS, tick_params={"day": "date"}), values, ["csv"])  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="schedule: format must be one of csv, html, got 'pdf'"):
        check_schedule(Schedule(WEEKDAYS, format="pdf"), values, ["csv", "html"])
    check_schedule(Schedule(WEEKDAYS, format="csv"), values, ["csv", "html"])
