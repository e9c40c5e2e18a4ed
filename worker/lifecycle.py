"""What happens when a worker starts, forks, drains and stops; Celery's signals end here.

In this order: the worker is checked and its window sized (``worker_init``),
its children open their pools after the fork (``worker_process_init``), it
says what it serves (``worker_ready``). On TERM Celery stops taking jobs,
waits for running batches, and settles them; what still waits goes back to
the queue. Children close their connections (``worker_process_shutdown``).
"""

import gc
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from socket import gethostname
from typing import Any

from celery import Celery, signals
from celery.exceptions import CPendingDeprecationWarning

from config import Settings
from postgres.pool import PoolLimits
from postgres.session import Session
from postgres.snapshot_cursor import Terms
from tasks.kind import Kind
from tasks.targets import BadCatalog
from worker import events
from worker.child import Plan, open_child
from worker.health.sign import SignsOfLife
from worker.last_resort import LastResort, patience_of
from worker.process import close_process, open_process
from worker.progress import Signals
from worker.publish import publish_catalog
from worker.stop_signals import StopSignals

#: Celery's own lines about each single job; ours speak of batches.
_CHATTER = ("celery.worker.strategy", "celery.app.trace")
#: How Celery's warning begins that its own setting against it does not silence.
_FALSE_ALARM = r"\s*In Celery 5\.1 we introduced an optional breaking change"

_COLLECT_AFTER_OBJECTS = 50_000

#: Reserved for each child of a worker that runs both lone jobs and such as have company.
_MIXED_JOBS = 8


class WorkerMisused(Exception):
    """The worker was started in a way that cannot work."""


def connect(app: Celery, settings: Settings, kinds: Mapping[str, Kind[Any]]) -> None:
    """Tie the life of this application's workers to Celery's signals."""
    life = _Life(app, settings, kinds)
    for moment, receiver in (
        (signals.worker_init, life.on_worker_init),
        (signals.worker_process_init, life.on_process_init),
        (signals.worker_process_shutdown, life.on_process_shutdown),
        (signals.worker_ready, life.on_ready),
        (signals.worker_shutting_down, life.on_shutting_down),
        (signals.worker_shutdown, life.on_shutdown),
        (signals.after_setup_logger, life.on_logging),
    ):
        # Strong references: Celery holds receivers weakly unless told otherwise.
        moment.connect(receiver, weak=False)


class _Life:
    """One worker's, in the order of its methods."""

    def __init__(self, app: Celery, settings: Settings, kinds: Mapping[str, Kind[Any]]) -> None:
        self._app = app
        self._settings = settings
        self._kinds = kinds
        self._consumer: Any = None
        self._is_asked_to_stop = False
        self._signs = SignsOfLife(settings.alive_file, "worker", settings.lease_seconds)

    def on_logging(self, **_: Any) -> None:
        for name in _CHATTER:
            logging.getLogger(name).setLevel(logging.WARNING)

    def on_worker_init(self, sender: Any, **_: Any) -> None:
        _check_pool(sender)
        _check_kinds(_plan(self._settings, self._app.child_signals), self._kinds)
        served = _served(self._app, self._kinds)
        _size_window(sender, served)
        self._signs.reads_reports = any(kind.reads_reports for kind in served)
        self._signs.start()
        # What was loaded so far stays: to look for garbage in it before each fork takes
        # time, and in a child it would make a copy of what all of them could share.
        gc.freeze()

    def on_process_init(self, **_: Any) -> None:
        open_process(_plan(self._settings, self._app.child_signals), self._kinds)

    def on_ready(self, sender: Any, **_: Any) -> None:
        self._consumer = sender
        queues = ",".join(sorted(self._app.amqp.queues.consume_from))
        events.worker_ready(
            worker=sender.hostname,
            queues=queues,
            children=sender.controller.concurrency,
            kinds=len(self._kinds),
        )
        publish_catalog(self._app, self._settings.catalog)
        self._signs.tell()
        sender.reservation.lease.tell = self._signs.tell
        self._hear_signals(sender)
        # Of lost connections: what it says becomes of reserved jobs is not true here.
        warnings.filterwarnings("ignore", _FALSE_ALARM, CPendingDeprecationWarning)
        _spare_the_collector()

    def _hear_signals(self, consumer: Any) -> None:
        last_resort = LastResort(
            patience_of(self._settings.lease_seconds),
            is_busy=lambda: consumer.dispatcher.is_busy,
            is_in_vain=lambda: consumer.is_broker_silent,
        )
        last_resort.start()
        consumer.on_stopping = partial(last_resort.ask, hurry=False)
        announce = partial(signals.worker_shutting_down.send, sender=consumer.hostname)
        StopSignals(consumer, last_resort, announce).install()

    def on_shutting_down(self, how: str, **_: Any) -> None:
        # A job of many transactions need not end for this worker to end.
        self._app.child_signals.stop()
        # From now on the loop ticks no more, and jobs may still run for long.
        if self._consumer is not None:
            self._consumer.reservation.lease.hold_on()
            if self._is_asked_to_stop and how == "Warm":
                # Celery would go on waiting; who asks twice wants to wait no longer.
                self._consumer.cancel_active_requests()
                events.stop_hurried()
        self._is_asked_to_stop = True

    def on_process_shutdown(self, **_: Any) -> None:
        close_process()

    def on_shutdown(self, **_: Any) -> None:
        # Also after a cold shutdown, which ends before the consumer's own.
        if self._consumer is not None:
            self._consumer.release()
        self._signs.end()


def _spare_the_collector() -> None:
    """Keep Python from looking for garbage among all that lives as long as the worker.

    Jobs come by the thousand and go as batches do, without cycles.
    """
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS, 20, 50)


def _check_pool(worker: Any) -> None:
    name = getattr(worker.pool_cls, "__module__", worker.pool_cls)
    if "prefork" not in str(name):
        raise WorkerMisused(
            f"pool {name!r} cannot run batches: start the worker without -P, or with -P prefork"
        )


def _check_kinds(plan: Plan, kinds: Mapping[str, Kind[Any]]) -> None:
    """Open everything once before the fork: a bad catalog ends the worker, not each child."""
    try:
        open_child(plan, kinds).close()
    except BadCatalog as error:
        raise SystemExit(f"the catalog does not work:\n{error}") from error


def _served(app: Celery, kinds: Mapping[str, Kind[Any]]) -> list[Kind[Any]]:
    """Return the kinds whose queues the worker consumes."""
    consumed = set(app.amqp.queues.consume_from)
    return [kind for kind in kinds.values() if kind.queue in consumed]


def _size_window(worker: Any, served: Sequence[Kind[Any]]) -> None:
    """Reserve few jobs a child where all kinds may take long, so that other workers get some."""
    if not served or not all(kind.limits.jobs == 1 or kind.may_take_long for kind in served):
        return
    jobs = [kind.limits.jobs for kind in served]
    # A batch each, and one for whoever comes back first; where lone jobs wait among others, these
    # would be kept from other workers.
    batches = max(jobs) * (worker.concurrency + 1)
    each = -(-batches // worker.concurrency)
    worker.prefetch_multiplier = each if min(jobs) > 1 else min(max(jobs), _MIXED_JOBS)


def _plan(settings: Settings, child_signals: Signals) -> Plan:
    reports = settings.report_database_url or settings.database_url
    return Plan(
        worker=_worker_name(),
        database_url=settings.database_url.get_secret_value(),
        report_database_url=reports.get_secret_value(),
        limits=PoolLimits(
            size=settings.pool_size,
            wait_seconds=settings.pool_wait_seconds,
            max_age_seconds=settings.connection_max_age_seconds,
            idle_check_seconds=settings.connection_idle_check_seconds,
        ),
        session=Session(
            application_name=f"celeriac {_worker_name()}",
            connect_seconds=settings.connect_seconds,
            lock_seconds=settings.lock_seconds,
            statement_seconds=settings.statement_seconds,
            dead_peer_seconds=settings.dead_peer_seconds,
        ),
        catalog=settings.catalog,
        artifacts=settings.artifacts,
        inbox=settings.inbox,
        report_seconds=settings.report_seconds,
        report_terms=Terms(
            lock_seconds=settings.report_lock_seconds,
            work_mem=settings.report_work_mem,
            role=settings.report_role,
        ),
        batch_rows=settings.batch_rows,
        file_prefixes=settings.file_prefixes,
        file_max_bytes=settings.file_max_bytes,
        signals=child_signals,
    )


def _worker_name() -> str:
    return f"{gethostname()}:{os.getpid()}"
