"""Answer ``celery inspect`` and Flower for plain jobs too, which Celery's books do not know.

They are put into Celery's words only when somebody asks: a few words stand in
the place of the arguments, as in events.
"""

import time
from collections.abc import Iterator
from typing import Any

from celery.worker import control
from celery.worker import state as celery_state
from celery.worker.control import inspect_command

from worker.preview import preview_of_body
from worker.waiting import Waiting

_Info = dict[str, Any]


def register() -> None:
    """Put our commands in the place of Celery's."""
    inspect_command(alias="dump_active")(active)
    inspect_command(alias="dump_reserved")(reserved)
    inspect_command(variadic="ids", signature="[id1 [id2 [... [idN]]]]")(query_task)


def active(state: Any, *, safe: bool = False, **_: Any) -> list[_Info]:
    """List of tasks currently being executed."""
    return [*control.active(state, safe=safe), *_running(state)]


def reserved(state: Any, **_: Any) -> list[_Info]:
    """List of currently reserved tasks, not including scheduled/active."""
    return [*control.reserved(state), *_waiting(state)]


def query_task(state: Any, ids: str | list[str], **_: Any) -> dict[str, tuple[str, _Info]]:
    """Query for task information by id."""
    wanted = {ids} if isinstance(ids, str) else set(ids or ())
    found = {info["id"]: ("reserved", info) for info in _waiting(state, wanted)}
    found |= {info["id"]: ("active", info) for info in _running(state, wanted)}
    return found | dict(control.query_task(state, list(wanted)))


def note_settled(task: str, jobs: int) -> None:
    """Count plain jobs as Celery counts requests: for heartbeats and ``inspect stats``."""
    celery_state.total_count[task] += jobs
    celery_state.all_total_count[0] += jobs


def _running(state: Any, ids: set[str] | None = None) -> Iterator[_Info]:
    for one, pid, started_at in state.consumer.dispatcher.running_jobs():
        if _is_plain(one, ids):
            yield _info(state, one) | {"time_start": _by_clock(started_at), "worker_pid": pid}


def _waiting(state: Any, ids: set[str] | None = None) -> Iterator[_Info]:
    for one in state.consumer.dispatcher.waiting_jobs():
        if _is_plain(one, ids):
            yield _info(state, one)


def _is_plain(one: Waiting, ids: set[str] | None) -> bool:
    return one.request is None and (ids is None or one.id in ids)


def _by_clock(monotonic_seconds: float | None) -> float | None:
    """Return a time of the day for one that a child told, as Celery's requests do."""
    if monotonic_seconds is None:
        return None
    return time.time() - (time.monotonic() - monotonic_seconds)


def _info(state: Any, one: Waiting) -> _Info:
    """Return what ``celery.worker.request.Request.info`` returns."""
    kind = state.consumer.app.tasks[one.task].kind
    return {
        "id": one.id,
        "name": one.task,
        "args": preview_of_body(kind, one.body).text,
        "kwargs": "",
        "type": one.task,
        "hostname": state.consumer.hostname,
        "time_start": None,
        "acknowledged": False,
        "delivery_info": {
            "exchange": "",
            "routing_key": kind.queue,
            "priority": None,
            "redelivered": False,
        },
        "worker_pid": None,
    }
