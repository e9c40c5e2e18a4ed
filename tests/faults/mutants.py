"""The worker with crash points and one defect: ``celery -A tests.faults.mutants worker ...``.

Each defect is one that a job system may really have. The oracle has to catch
every one of them, or its silence about the real worker means nothing.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import worker.attempt
import worker.commit
import worker.commit_whole
import worker.dispatch
import worker.results
from postgres.ledger import Claim, Verdict
from postgres.transaction import transaction
from tests.faults.crash_points import MUTANT
from tests.faults.planted import app

__all__ = ["app"]


def acknowledge_early() -> None:
    """Tell the broker that jobs are done when a child begins them."""
    dispatcher = worker.dispatch.Dispatcher
    started = dispatcher._started

    def wrapper(self: Any, batch: Any, *args: Any) -> None:
        started(self, batch, *args)
        self._consumer.reservation.done_with(batch.jobs)
        self._consumer.reservation.flush()

    dispatcher._started = wrapper


def ignore_the_ledger() -> None:
    """Run a job again although the ledger says that it is done."""
    claim = worker.commit.claim

    def wrapper(*args: Any) -> dict[str, Claim]:
        return {job: _unknown(answer) for job, answer in claim(*args).items()}

    worker.commit.claim = wrapper
    _take_the_careful_way()


def _take_the_careful_way() -> None:
    """The short way has no room for some defects: it is one statement."""
    worker.attempt.commit_plain = lambda *_: None


def _unknown(answer: Claim) -> Claim:
    if answer.verdict is Verdict.KNOWN:
        return replace(answer, verdict=Verdict.CLAIMED, entry=None)
    return answer


def tell_before_commit() -> None:
    """Store a job's result when its rows went in, before COMMIT."""
    run = worker.commit._run

    def wrapper(accepted: Any, claims: Any, child: Any, cursor: Any) -> Any:
        outcomes = run(accepted, claims, child, cursor)
        for outcome in outcomes:
            app.backend.mark_as_done(outcome.job_id, worker.commit._settle(outcome).result)
        return outcomes

    worker.commit._run = wrapper
    _take_the_careful_way()


def tell_plain_jobs_before_commit() -> None:
    """Store the results of plain jobs before their statement is sent."""
    write = worker.commit_whole._write

    def wrapper(task: str, jobs: Any, *args: Any) -> None:
        for id_, rows in zip(jobs.ids, jobs.rows, strict=True):
            app.backend.mark_as_done(id_, worker.results.whole_result(rows))
        write(task, jobs, *args)

    worker.commit_whole._write = wrapper


def commit_the_ledger_apart() -> None:
    """Commit the rows first, and the ledger in a second transaction."""
    run = worker.commit._run

    def wrapper(accepted: Any, claims: Any, child: Any, cursor: Any) -> Any:
        with transaction(child.pool) as rows_only:
            return run(accepted, claims, child, rows_only)

    worker.commit._run = wrapper
    _take_the_careful_way()


_DEFECTS: Mapping[str, Callable[[], None]] = {
    "none": lambda: None,
    "acknowledge early": acknowledge_early,
    "ignore the ledger": ignore_the_ledger,
    "tell before commit": tell_before_commit,
    "tell plain jobs before commit": tell_plain_jobs_before_commit,
    "commit the ledger apart": commit_the_ledger_apart,
}

_DEFECTS[os.environ[MUTANT]]()
