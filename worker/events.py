"""The wording of everything the workers log: one function an event, facts as arguments.

Levels say who has to act: nobody (info), somebody soon (warning), now (error).
"""

import logging
from collections.abc import Sequence
from typing import Any

import structlog

_log: Any = structlog.wrap_logger(
    logging.getLogger("celeriac"),
    processors=[
        structlog.stdlib.add_log_level,
        structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True),
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
)


def worker_ready(*, worker: str, queues: str, children: int, kinds: int) -> None:
    """A worker takes jobs from now on."""
    _log.info("worker ready", worker=worker, queues=queues, children=children, kinds=kinds)


def stop_hurried() -> None:
    """A worker that waits for its last batches was asked to stop once more."""
    _log.warning("asked again to stop, what runs goes back to its queue")


def stop_forced(*, seconds: float) -> None:
    """A worker that was asked to stop did not end by itself."""
    _log.warning("ended by force, its jobs come back with its lease", waited_seconds=seconds)


def stop_failed(*, reason: str) -> None:
    """What is to be done at a signal to stop went wrong; the worker ends all the same."""
    _log.error("a signal to stop was not obeyed in full", reason=reason)


def batch_settled(*, task: str, jobs: int, rows: int, seconds: float) -> None:
    """A batch committed and its jobs were settled."""
    _log.info("batch settled", task=task, jobs=jobs, rows=rows, seconds=round(seconds, 3))


def job_buried(*, job: str, reason: str) -> None:
    """A job can never succeed; it is kept in the ledger with its payload."""
    _log.warning("job buried", job=job, reason=reason)


def job_conflicted(*, job: str) -> None:
    """An id came again with another payload, which was buried under an id of its own."""
    _log.warning("job buried as a conflict of ids", job=job)


def target_held(*, target: str, jobs: int, reason: str) -> None:
    """Jobs wait in the ledger until somebody resumes their target."""
    _log.error(
        "target held: mend it, then run `python -m worker targets resume`",
        target=target,
        jobs=jobs,
        reason=reason,
    )


def jobs_put_off(*, waiting_for: str, jobs: int, seconds: float, reason: str) -> None:
    """Jobs wait for a lock, a place for files, another run, or a commit; said once of a lane."""
    _log.warning(
        "jobs are put off, the others go on",
        waiting_for=waiting_for,
        jobs=jobs,
        again_in_seconds=round(seconds, 2),
        reason=reason,
    )


def database_lost(*, reason: str) -> None:
    """PostgreSQL does not answer; said once until it is back."""
    _log.error("PostgreSQL is in trouble, jobs wait", reason=reason)


def database_back(*, seconds: float) -> None:
    """PostgreSQL answers again."""
    _log.info("PostgreSQL is back", after_seconds=round(seconds, 1))


def settling_delayed(*, jobs: int, seconds: float, reason: str) -> None:
    """Jobs are committed, but their results could not be stored yet; it is tried again."""
    _log.warning(
        "jobs not settled, trying again",
        jobs=jobs,
        again_in_seconds=round(seconds, 2),
        reason=reason,
    )


def child_lost(*, task: str, jobs: int, reason: str) -> None:
    """The child process of a batch died; its jobs run again, each alone."""
    _log.error("a child process was lost, its jobs run again", task=task, jobs=jobs, reason=reason)


def child_unfit(*, reason: str) -> None:
    """A child cannot run any batch, whatever is in it; its jobs wait."""
    _log.error("a child cannot run batches, jobs wait", reason=reason)


def short_way_failed(*, task: str, jobs: int, reason: str) -> None:
    """A kind raised while it planned its writes; its jobs go the careful way, slower."""
    _log.warning("jobs go the careful way", task=task, jobs=jobs, reason=reason)


def short_way_shut(*, reason: str) -> None:
    """No batch of this process can commit in one statement; said once."""
    _log.warning(
        "all batches go the careful way, slower: run python -m worker migrate,"
        " or grant EXECUTE on celeriac.claim_new_jobs",
        reason=reason,
    )


def buffer_dropped(*, jobs: int) -> None:
    """Others have the jobs that waited here: the lease had run out."""
    _log.warning("waiting jobs forgotten, other workers have them", jobs=jobs)


def lease_lost(*, owner: str) -> None:
    """This worker stood still for longer than its lease; what it had reserved is with others."""
    _log.warning("the lease ran out and others took the jobs", owner=owner)


def jobs_recovered(*, owner: str, jobs: int, suspects: int) -> None:
    """A worker is dead; its messages are in their queues again."""
    _log.warning("jobs of a dead worker given back", owner=owner, jobs=jobs, suspects=suspects)


def broker_silent(*, reason: str) -> None:
    """The broker does not answer the lease; said once until it does."""
    _log.error("the broker does not answer, the lease cannot be renewed", reason=reason)


def broker_heard(*, seconds: float) -> None:
    """The broker answers again."""
    _log.info("the broker answers again", after_seconds=round(seconds, 1))


def broker_full(*, reason: str) -> None:
    """The broker refuses whatever takes memory, new jobs too; said once until it does not."""
    _log.error(
        "the broker's memory is full: waiting jobs are taken, new ones refused; raise maxmemory",
        reason=reason,
    )


def broker_has_room() -> None:
    """The broker takes new jobs again."""
    _log.info("the broker's memory has room again")


def main_loop_silent(*, seconds: float) -> None:
    """The main loop shows no life, so the lease is left to run out."""
    _log.error("the main loop stands still, the lease is not renewed", seconds=round(seconds, 1))


def catalog_not_published(*, reason: str) -> None:
    """Clients cannot check names before sending; workers still do."""
    _log.warning("the catalog's names were not published for clients", reason=reason)


def relay_ready(*, relay: str) -> None:
    """A relay pushes jobs of the outbox from now on."""
    _log.info("relay ready", relay=relay)


def relay_stopped(*, relay: str) -> None:
    """A relay was asked to stop and did."""
    _log.info("relay stopped", relay=relay)


def relay_left_open(*, relay: str, reason: str) -> None:
    """A relay could not close its epoch; the next one does, a few seconds later."""
    _log.warning("relay stopped without its last word", relay=relay, reason=reason)


def relay_lost_broker(*, reason: str) -> None:
    """Redis does not answer the relay or refuses; said once until it does."""
    _log.error("the broker is in trouble, jobs wait in the outbox", reason=reason)


def jobs_due_again(*, relay: str, jobs: int) -> None:
    """Redis does not know of pushes that were claimed: their jobs are pushed again."""
    _log.warning(
        "the broker does not know these jobs, they are pushed again", relay=relay, jobs=jobs
    )


def ledger_purged(*, jobs: int, entries: int) -> None:
    """A sweep through the ledger forgot what is older than the dedupe horizon."""
    _log.info("old jobs forgotten", jobs=jobs, entries=entries)


def purge_failed(*, reason: str) -> None:
    """Old jobs could not be forgotten; it is tried again, and again."""
    _log.warning("old jobs not forgotten, trying again later", reason=reason)


def artifacts_removed(*, files: int, left: int) -> None:
    """Files of reports that were too old or too many are gone; some may be left alone."""
    _log.info("report files removed", files=files, left=left)


def artifacts_not_removed(*, reason: str) -> None:
    """Files of reports that are given up are still there; it is tried again later."""
    _log.warning("report files not removed, trying again later", reason=reason)


def scheduler_ready(*, scheduler: str, reports: int) -> None:
    """A scheduler enqueues reports as they fall due from now on."""
    _log.info("scheduler ready", scheduler=scheduler, reports=reports)


def scheduler_stopped(*, scheduler: str) -> None:
    """A scheduler was asked to stop and did."""
    _log.info("scheduler stopped", scheduler=scheduler)


def report_scheduled(*, report: str, cron: str, timezone: str, next_tick: str) -> None:
    """A report has a schedule; said when a scheduler starts."""
    _log.info("scheduled", report=report, cron=cron, timezone=timezone, next_tick=next_tick)


def ticks_enqueued(*, report: str, ids: Sequence[str], late_seconds: float) -> None:
    """Ticks of a report fell due, and their jobs are in the outbox."""
    _log.info(
        "report enqueued by its schedule",
        report=report,
        jobs=len(ids),
        last=ids[-1],
        late_seconds=round(late_seconds, 1),
    )


def ticks_missed(*, report: str, ticks: int, missed: str) -> None:
    """Ticks passed while no scheduler ran, and are not made up for."""
    _log.warning("ticks of a report were missed", report=report, ticks=ticks, missed=missed)


def ticks_given_up(*, report: str, before: str) -> None:
    """Ticks are older than the dedupe horizon: nobody counts them, and none becomes a job."""
    _log.warning("ticks of a report are too old, they were given up", report=report, before=before)


def tick_ids_taken(*, report: str, ids: Sequence[str]) -> None:
    """Somebody else enqueued jobs under the ids of ticks, before these fell due."""
    _log.warning(
        "the id of a tick was taken before it fell due", report=report, jobs=len(ids), last=ids[-1]
    )


def clock_went_back(*, until: str) -> None:
    """PostgreSQL's clock shows a time of which the ticks were enqueued before; said once."""
    _log.warning("the clock is behind the last ticks, none is repeated until then", until=until)


def figures_missing(*, what: str, reason: str) -> None:
    """Flower's metrics lack some figures until whoever has them answers again."""
    _log.warning("figures missing from the metrics", what=what, reason=reason)
