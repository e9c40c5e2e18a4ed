"""Find jobs that were buried or held, send them again, give them up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg2 import sql

from celeriac.contract import ACCOUNTS, State
from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import compose, statement

_PAGE_JOBS = 500


@dataclass(frozen=True, slots=True)
class JobSelection:
    """Which jobs are meant: all that agree with everything that is not None.

    ``reason`` is a part of the error. A time counts if ``since`` <= time < ``until``.
    """

    states: Sequence[str]
    ids: Sequence[str] | None = None
    tasks: Sequence[str] | None = None
    targets: Sequence[str] | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeptJob:
    """One line of a list of jobs."""

    id: str
    task: str
    subject: str
    state: State
    rows: int
    attempts: int
    set_aside_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class JobCount:
    """How many jobs share a task, subject, state and reason, but for numbers and quoted values."""

    task: str
    subject: str
    state: State
    error: str | None
    jobs: int
    oldest: datetime | None
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class LedgerJob:
    """Everything that PostgreSQL knows of one job; ``result`` is JSON text."""

    id: str
    task: str
    subject: str
    state: State
    rows: int
    accounts: Mapping[str, int]
    attempts: int
    batch: int
    digest: str
    worker: str
    enqueued_at: datetime | None
    committed_at: datetime | None
    set_aside_at: datetime | None
    result: str | None
    error: str | None
    payload: str | None
    #: Since when it waits in the outbox, if it does.
    outbox_since: datetime | None
    #: Entries of the quarantine that it replays, or was the last to replay.
    replays: int


@dataclass(frozen=True, slots=True)
class LockedJob:
    """What deciding on a job takes; nobody else changes it before the transaction ends."""

    id: str
    task: str
    state: State
    error: str | None
    payload: str | None


def read_kept(selection: JobSelection, limit: int | None, cursor: Cursor) -> list[KeptJob]:
    """Return the jobs that were set aside last."""
    with refusals(Phase.READ):
        cursor.execute(
            compose("read_kept_jobs", selected=_selected()),
            _parameters(selection) | {"limit": limit},
        )
        return [
            KeptJob(id_, task, subject, State(state), *rest)
            for id_, task, subject, state, *rest in cursor.fetchall()
        ]


def count_kept(selection: JobSelection, cursor: Cursor) -> list[JobCount]:
    """Count the jobs by what they are about and why, the most frequent first."""
    with refusals(Phase.READ):
        cursor.execute(compose("count_kept_jobs", selected=_selected()), _parameters(selection))
        return [
            JobCount(task, subject, State(state), *rest)
            for task, subject, state, *rest in cursor.fetchall()
        ]


def page_ids(selection: JobSelection, cursor: Cursor, after: str = "") -> list[str]:
    """Return the next ids after one, in their order; none at the end."""
    parameters = _parameters(selection) | {"after": after, "limit": _PAGE_JOBS}
    with refusals(Phase.READ):
        cursor.execute(compose("page_kept_jobs", selected=_selected()), parameters)
        return [id_ for (id_,) in cursor.fetchall()]


def read_job(job_id: str, cursor: Cursor) -> LedgerJob | None:
    """Return what is known of one job, None if the ledger does not know it."""
    with refusals(Phase.READ):
        cursor.execute(statement("read_job"), {"id": job_id})
        row = cursor.fetchone()
    return None if row is None else _ledger_job(*row)


def lock_job(job_id: str, cursor: Cursor) -> LockedJob | None:
    """Return one job and keep it as it is until the transaction ends; None if it is unknown."""
    with refusals(Phase.READ):
        cursor.execute(statement("lock_kept_job"), {"id": job_id})
        row = cursor.fetchone()
    if row is None:
        return None
    task, state, error, payload = row
    return LockedJob(job_id, task, State(state), error, payload)


def redrive_job(job_id: str, payload: str, digest: str, reason: str, cursor: Cursor) -> bool:
    """Let the next delivery of this payload take a dead job over; False if it is not dead.

    It has to be enqueued in the same transaction.
    """
    parameters = {"id": job_id, "payload": payload, "digest": digest, "reason": reason}
    with refusals(Phase.RECORD):
        cursor.execute(statement("redrive_job"), parameters)
    return cursor.rowcount == 1


def discard_job(job_id: str, reason: str, cursor: Cursor) -> bool:
    """Drop what was kept of a dead or held job, for good; False if it is neither."""
    with refusals(Phase.RECORD):
        cursor.execute(statement("discard_job"), {"id": job_id, "reason": reason})
    return cursor.rowcount == 1


def pages(selection: JobSelection, cursor: Cursor) -> Iterator[str]:
    """Yield the ids of all selected jobs, holding one page at a time."""
    after = ""
    while page := page_ids(selection, cursor, after):
        yield from page
        after = page[-1]


def _selected() -> sql.Composable:
    return sql.SQL(statement("select_kept_jobs"))


def _parameters(selection: JobSelection) -> dict[str, object]:
    given = asdict(selection)
    for name in ("ids", "tasks", "targets", "states"):
        given[name] = None if given[name] is None else [*given[name]]
    return given


def _ledger_job(*columns: Any) -> LedgerJob:
    id_, task, subject, state, rows, *rest = columns
    accounts = dict(zip(ACCOUNTS, rest, strict=False))
    others = rest[len(ACCOUNTS) :]
    return LedgerJob(id_, task, subject, State(state), rows, accounts, *others)
