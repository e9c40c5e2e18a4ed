"""Which reports run by themselves, and as what jobs: one a tick, whoever makes it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from postgres.ticks import Key, TickJob
from tasks.reports.declared.catalog import DeclaredReport
from tasks.reports.declared.schedule import Missed, Schedule

_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@dataclass(frozen=True, slots=True)
class Plan:
    """A report's schedule, with what becomes of its missed ticks."""

    report: str
    schedule: Schedule
    missed: Missed

    @property
    def key(self) -> Key:
        """What tells the schedule from others in PostgreSQL."""
        return Key(self.report, self.schedule.cron, self.schedule.timezone)

    def job(self, tick: datetime) -> TickJob:
        """Return the job of a tick; its id and its words are of this tick alone."""
        moment = f"{tick.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        asked: dict[str, Any] = {"name": self.report, "tick": moment}
        if params := self.schedule.params_at(tick):
            asked["params"] = params
        if self.schedule.format is not None:
            asked["format"] = self.schedule.format
        body = msgspec.json.encode([[], asked, _EMBED]).decode()
        return TickJob(tick, f"tick:{self.report}:{moment}", body)


def plans_of(reports: Iterable[DeclaredReport], missed: Missed) -> list[Plan]:
    """Return the plans of those that have a schedule; ``missed`` is for those that do not say."""
    plans = []
    for report in reports:
        schedule = report.header.scheduled
        if schedule is not None:
            plans.append(Plan(report.name, schedule, schedule.missed or missed))
    return plans
