"""Revoke a job so that its claim decides: it does not start, unless it has committed.

Celery's own command also writes REVOKED into the result store at once, for
any job without a result there: one that committed and kept none, or that
commits at this moment in another worker, would be shown as what it is not.
"""

from collections.abc import Iterable
from typing import Any

from celery.platforms import signals
from celery.worker import state as celery_state
from celery.worker.control import control_command

_TERMINATING_SIGNAL = "TERM"


def register() -> None:
    """Put our commands in the place of Celery's, for ``app.control`` and Flower alike."""
    ids = {"variadic": "task_id"}
    control_command(**ids, signature="[id1 [id2 [... [idN]]]]")(revoke)
    control_command(**ids, args=[("signal", str)], signature="<signal> [id1 [id2 [... [idN]]]]")(
        terminate
    )


def revoke(
    state: Any,
    task_id: str | Iterable[str],
    *,
    terminate: bool = False,
    signal: str | int | None = None,
    **_: Any,
) -> dict[str, str]:
    """Remember the ids; with ``terminate`` also end the children that run them now."""
    ids = {task_id} if isinstance(task_id, str) else set(task_id or ())
    celery_state.revoked.update(ids)
    ended = _terminate(state, ids, signal) if terminate else set()
    words = f"terminating {', '.join(sorted(ended))}" if ended else "flagged as revoked"
    return {"ok": f"tasks {', '.join(sorted(ids))}: {words}"}


def terminate(
    state: Any, signal: str | int, task_id: str | Iterable[str], **_: Any
) -> dict[str, str]:
    """Revoke, and end the children that run the jobs now."""
    return revoke(state, task_id, terminate=True, signal=signal)


def _terminate(state: Any, ids: set[str], signal: str | int | None) -> set[str]:
    number = signals.signum(signal or _TERMINATING_SIGNAL)
    found = [request for request in celery_state.active_requests if request.id in ids]
    for request in found:
        request.terminate(state.consumer.pool, signal=number)
    running = state.consumer.dispatcher.running_jobs()
    wanted = [(one, pid) for one, pid, _ in running if one.id in ids and one.request is None]
    plain = {one.id: pid for one, pid in wanted if pid is not None}
    for pid in set(plain.values()):  # One child may run several of them.
        state.consumer.pool.terminate_job(pid, number)
    return {request.id for request in found} | plain.keys()
