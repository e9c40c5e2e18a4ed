"""What schedulers read and write in PostgreSQL: until when ticks are decided, and their jobs.

Time is PostgreSQL's, so that several schedulers go by one clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from postgres.errors import Phase, Refused, refusals
from postgres.statements import statement
from postgres.transaction import Lender, single_statement

#: Between two signs of one scheduler less passes, unless it stood still; longer was an outage.
_LONGEST_PAUSE = timedelta(minutes=2)
#: A schedule that no scheduler knew for so long, while there were some, begins anew: longer than
#: schedulers of two catalogs need to come back one after the other.
AWAY = timedelta(minutes=5)
#: SQLSTATEs of a schema, a table or a column that is not there.
_NOT_MIGRATED = frozenset({"3F000", "42P01", "42703"})


class Key(NamedTuple):
    """What tells one schedule from another; a report has several while its catalog changes."""

    report: str
    cron: str
    timezone: str


@dataclass(frozen=True, slots=True)
class TickJob:
    """The job of a tick; ``body`` is Celery's as JSON text: ``[args, kwargs, embed]``."""

    tick: datetime
    id: str
    body: str


@dataclass(frozen=True, slots=True)
class Step:
    """All ticks of a schedule from ``since`` to ``until``, and the jobs that come of them."""

    key: Key
    since: datetime
    until: datetime
    jobs: Sequence[TickJob]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the jobs of a step; ``occupied`` ids were somebody else's before."""

    enqueued: Sequence[str]
    occupied: Sequence[str]


def read_schedules(keys: Sequence[Key], pool: Lender) -> tuple[datetime, dict[Key, datetime]]:
    """Return the time, and until when each schedule is decided; nobody registered the others."""
    reports = [key.report for key in keys]
    rows = _execute("read_schedules", {"reports": reports}, pool)
    known = {Key(*row[1:4]): row[4] for row in rows if row[1] is not None}
    return rows[0][0], {key: known[key] for key in keys if key in known}


def watch(keys: Sequence[Key], pool: Lender) -> None:
    """Say, once a minute, that a scheduler is there which knows these schedules, and no others.

    What is new, or was away for :data:`AWAY` while schedulers were there, begins now.
    """
    parameters = {
        "reports": [key.report for key in keys],
        "crons": [key.cron for key in keys],
        "timezones": [key.timezone for key in keys],
        "longest_pause": _LONGEST_PAUSE,
        "away": AWAY,
    }
    _execute("watch_schedules", parameters, pool)


def take(step: Step, task: str, pool: Lender) -> Taken | None:
    """Decide a schedule's ticks and enqueue their jobs, in one transaction.

    A tick is enqueued once, whatever is repeated. None if another scheduler
    decided meanwhile. Raises :class:`Refused`; with ``sqlstate`` None it may
    have happened all the same.
    """
    parameters: dict[str, Any] = {
        **step.key._asdict(),
        "since": step.since,
        "until": step.until,
        "task": task,
        "ticks": [job.tick for job in step.jobs],
        "ids": [job.id for job in step.jobs],
        "bodies": [job.body for job in step.jobs],
    }
    ((is_ours, enqueued, occupied),) = _execute("take_ticks", parameters, pool)
    return Taken(enqueued, occupied) if is_ours else None


def purge_ticks(keep: timedelta, pool: Lender) -> None:
    """Forget ticks that were enqueued longer ago; of each report the newest stays."""
    _execute("purge_ticks", {"keep": keep}, pool)


def _execute(name: str, parameters: Mapping[str, Any], pool: Lender) -> list[tuple[Any, ...]]:
    try:
        with single_statement(pool) as cursor, refusals(Phase.COMMIT):
            cursor.execute(statement(name), parameters)
            return cursor.fetchall() if cursor.description else []
    except Refused as refused:
        if refused.sqlstate not in _NOT_MIGRATED:
            raise
        words = f"{refused.message}; run `python -m worker migrate` on this database"
        raise Refused(words, sqlstate=refused.sqlstate, phase=refused.phase) from refused
