"""What a report declares of its schedule: a cron expression with a time zone, and what it asks."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

from tasks.reports.declared.ticks import ticks

_FIELDS = 5
_MOST_CHARACTERS = 200
#: Names of the machine's folder that are no names of the database: what they say differs from
#: machine to machine, or counts leap seconds.
_NO_ZONES = frozenset({"localtime", "posixrules", "factory", "posix", "right"})
#: Any time will do to try an expression, or to write one into a parameter.
_SAMPLE = datetime(2024, 1, 1, tzinfo=UTC)


class Missed(StrEnum):
    """What becomes of ticks that passed while no scheduler could see to them."""

    SKIP = "skip"
    LAST = "last"
    ALL = "all"


class TickAs(StrEnum):
    """As what a parameter gets the time of its tick."""

    TIME = "time"
    DATE = "date"


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a report runs by itself, and with what it is asked then."""

    cron: str
    timezone: str = "UTC"
    #: If not as the setting has it.
    missed: Missed | None = None
    params: dict[str, Any] = {}
    #: Parameters that get the time of the tick, or its date in the time zone.
    tick_params: dict[str, TickAs] = {}
    format: str | None = None

    def __post_init__(self) -> None:
        """Refuse what never ticks, or is no schedule at all."""
        zone = _zone(self.timezone)
        _check_cron(self.cron)
        if next(ticks(self.cron, zone, _SAMPLE), None) is None:
            raise ValueError(f"schedule {self.cron!r} names a day that never comes")
        if twice := sorted(self.params.keys() & self.tick_params.keys()):
            raise ValueError(f"{twice[0]} is in params and in tick_params, it can be in one only")

    def ticks(self, after: datetime) -> Iterator[datetime]:
        """Yield the ticks after a time, in UTC and in order."""
        return ticks(self.cron, _zone(self.timezone), after)

    def local(self, tick: datetime) -> datetime:
        """Return a tick as the clocks of its time zone show it."""
        return tick.astimezone(_zone(self.timezone))

    def params_at(self, tick: datetime) -> dict[str, Any]:
        """Return the parameters of one tick, as JSON can carry them."""
        local = self.local(tick)
        given = {
            name: local.isoformat() if as_ is TickAs.TIME else local.date().isoformat()
            for name, as_ in self.tick_params.items()
        }
        return {**msgspec.to_builtins(self.params), **given}


def schedule_of(declared: "str | Schedule | None", timezone: str | None) -> Schedule | None:
    """Return the schedule of a header, which may be a table, or a cron expression and a zone.

    Raises ValueError for what is no schedule.
    """
    if isinstance(declared, str):
        return Schedule(declared, "UTC" if timezone is None else timezone)
    if timezone is not None:
        raise ValueError(
            'timezone goes with schedule = "..."; with a table, write it into [schedule]'
            if declared
            else 'timezone needs a schedule, such as schedule = "15 6 * * mon-fri"'
        )
    return declared


def check_schedule(
    schedule: Schedule,
    values: Callable[[Mapping[str, Any]], object],
    formats: Collection[str],
) -> None:
    """Refuse, by ValueError, a schedule that asks what its report does not answer.

    ``values`` raises ValueError for parameters that the report does not take.
    """
    try:
        values(schedule.params_at(_SAMPLE))
    except ValueError as error:
        raise ValueError(f"schedule: {error}") from error
    if schedule.format is not None and schedule.format not in formats:
        raise ValueError(
            f"schedule: format must be one of {', '.join(formats)}, got {schedule.format!r}"
        )


def _zone(name: str) -> ZoneInfo:
    # A name leads to a file: one that is a folder, or leads out of the database, is refused too.
    try:
        if name.partition("/")[0].casefold() in _NO_ZONES:
            raise ValueError(name)
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        raise ValueError(
            f'timezone must be of the IANA database, such as "Europe/Berlin", got {name[:80]!r}'
        ) from None


def _check_cron(cron: str) -> None:
    try:
        if len(cron) > _MOST_CHARACTERS:
            raise ValueError(f"more than {_MOST_CHARACTERS} characters")
        if (count := len(cron.split())) != _FIELDS:
            raise ValueError(f"{count} fields")
        CronSim(cron, _SAMPLE.replace(tzinfo=None))
    except (CronSimError, ValueError, AssertionError) as error:
        words = str(error)
        raise ValueError(
            "schedule must be five fields of cron (minute hour day month weekday), such as"
            f' "15 6 * * mon-fri", got {cron[:80]!r}: {words[:1].lower()}{words[1:]}'
        ) from error
