"""The Celery application: ``celery -A worker.app worker -Q celeriac.ingest``."""

from typing import Any

from celery import Celery, Task

from config import Settings
from tasks.kind import Kind
from tasks.long_kind import LongKind
from worker import event_json, inspection, lifecycle, revoke
from worker.accumulate import Bounds
from worker.heartbeat import CountPlainJobs
from worker.kinds import load_kinds
from worker.outside import settings_of_this_process
from worker.progress import Signals
from worker.transport import broker_settings
from worker.waiting import POSTPONED, RAW, Batching


def make_app(settings: Settings) -> Celery:
    """Return the application of these settings, with a task for every kind."""
    kinds = load_kinds(settings.kinds)
    app = Celery("celeriac")
    app.conf.update(_celery_settings(settings))
    app.batching = _batching(settings, kinds)
    app.child_signals = Signals()
    for kind in kinds.values():
        app.register_task(_task_of(kind))
    app.steps["consumer"].add(CountPlainJobs)
    event_json.register()
    revoke.register()
    inspection.register()
    lifecycle.connect(app, settings, kinds)
    return app


def _celery_settings(settings: Settings) -> dict[str, Any]:
    broker = broker_settings(
        settings.broker_url.get_secret_value(),
        lease_seconds=settings.lease_seconds,
        prefetch_bytes=settings.prefetch_bytes,
        key_prefix=settings.key_prefix,
    )
    return broker | {
        "result_backend": settings.result_url.get_secret_value(),
        "result_expires": settings.result_expires_seconds,
        "redis_socket_timeout": 5.0,
        "redis_socket_connect_timeout": 3.0,
        "result_backend_max_retries": 3,
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        # Acks are ours, after COMMIT; a lost child gives its messages back.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_consumer": "worker.consumer:Consumer",
        "worker_concurrency": settings.concurrency,
        "worker_prefetch_multiplier": -(-settings.prefetch_jobs // settings.concurrency),
        # Both would shrink the window below a batch.
        "worker_enable_prefetch_count_reduction": False,
        "worker_disable_prefetch": False,
        "worker_disable_rate_limits": True,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # The pipe of a dead child is read at once; ten seconds more find nothing.
        "worker_lost_wait": 1.0,
        "worker_proc_alive_timeout": 60.0,
        "worker_send_task_events": True,
        "task_send_sent_event": False,
        "event_serializer": event_json.NAME,
        "celeriac_event_buffer": settings.event_buffer,
        "celeriac_events_per_second": settings.events_per_second,
        "enable_utc": True,
        "timezone": "UTC",
    }


def _batching(settings: Settings, kinds: dict[str, Kind[Any]]) -> Batching:
    most = Bounds(settings.batch_jobs, settings.batch_rows, settings.batch_bytes)
    bounds = {
        name: Bounds(
            min(most.jobs, kind.limits.jobs),
            min(most.rows, kind.limits.rows),
            min(most.size_bytes, kind.limits.body_bytes),
        )
        for name, kind in kinds.items()
    }
    seconds = {name: _seconds(settings, kind) for name, kind in kinds.items()}
    return Batching(
        bounds=bounds | {RAW: most, POSTPONED: most},
        seconds=seconds | dict.fromkeys((RAW, POSTPONED), settings.batch_seconds),
        crash_limit=settings.crash_limit,
        busy_hold_seconds=settings.busy_hold_seconds,
        parked_jobs=settings.prefetch_jobs,
        # The other half of the window is for targets that are not locked.
        parked_bytes=settings.prefetch_bytes // 2,
        linger_seconds=settings.linger_seconds,
        tasks_that_may_take_long=frozenset(
            name
            for name, kind in kinds.items()
            if kind.may_take_long and not isinstance(kind, LongKind)
        ),
    )


def _seconds(settings: Settings, kind: Kind[Any]) -> float:
    if isinstance(kind, LongKind):
        return kind.limits.seconds  # Killed, it would only go on after its last step.
    is_lone = kind.limits.jobs == 1 or kind.may_take_long
    return min(
        settings.long_job_seconds if is_lone else settings.batch_seconds, kind.limits.seconds
    )


def _task_of(kind: Kind[Any]) -> Task:
    def run(self: Task, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{kind.name} runs in batches: send it to queue {kind.queue}")

    return type(
        "KindTask",
        (Task,),
        {
            "name": kind.name,
            "kind": kind,
            "run": run,
            "Strategy": "worker.strategy:strategy",
            "Request": "worker.request:Request",
            "typing": False,
            "acks_late": True,
            "ignore_result": False,
        },
    )()


app = make_app(settings_of_this_process())
