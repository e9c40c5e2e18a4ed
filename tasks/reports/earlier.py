"""Answer a job by the file of a run that is fresh enough, and say what a run gave."""

from collections.abc import Mapping
from typing import Any

from celeriac.contract import State
from postgres import Cursor
from postgres.report_run import EarlierRun, ReportRun, find_run
from tasks.kind import Job, Outcome
from tasks.reports.artifacts.artifact import exists
from tasks.reports.asked import Asked
from tasks.reports.request import Request
from tasks.reports.trouble import outcome_after
from tasks.stores import StoreTrouble


def earlier_run(request: Request, fresh_for_seconds: float, cursor: Cursor) -> EarlierRun | None:
    """Find a run that is young enough and whose file still lies where it was put."""
    earlier = find_run(cursor, request.question, fresh_for_seconds)
    return earlier if earlier is not None and exists(earlier.run.url) else None


def answers_at_hand(
    asked: Asked, fresh_for_seconds: Mapping[str, float | None], cursor: Cursor
) -> list[Outcome]:
    """Return the outcomes of those jobs of a question that need no run of their own.

    ``fresh_for_seconds`` says of each job how old an answer may be; None if
    none will do. The newest run is looked at once: who refuses that, refuses all.
    """
    ages = {id_: age for id_, age in fresh_for_seconds.items() if age is not None}
    if not ages:
        return []
    try:
        earlier = earlier_run(asked.request, max(ages.values()), cursor)
    except StoreTrouble as error:
        return [outcome_after(error, id_, asked.request) for id_ in ages]
    if earlier is None:
        return []
    young = (job for job in asked.jobs if ages.get(job.id, -1.0) >= earlier.age_seconds)
    return [answered_by(earlier, job, asked.request) for job in young]


def answered_by(earlier: EarlierRun, job: Job[Any], request: Request) -> Outcome:
    """Answer by the file of another job's run; say whose it was, of when, and how old that is."""
    known = {
        "run": earlier.job_id,
        "as_of": earlier.run.started_at.isoformat(),
        "age_seconds": round(earlier.age_seconds, 3),
    }
    return Outcome(job.id, State.COMMITTED, result={**result_of(request, earlier.run), **known})


def committed(job: Job[Any], request: Request, run: ReportRun) -> Outcome:
    """Answer by a run of just now."""
    return Outcome(job.id, State.COMMITTED, result=result_of(request, run))


def result_of(request: Request, run: ReportRun) -> Mapping[str, Any]:
    """Return what a job answers with."""
    return {
        "url": run.url,
        "rows": run.rows,
        "bytes": run.bytes,
        "sha256": run.sha256,
        "format": request.format.value,
    }
