"""Revoke a job so that its claim decides: it does not start, unless it has committed.

Celery's own command also writes REVOKED into the result store at once, for
any job without a result there: one that committed and kept none, or that
commits at this moment in another worker, would be shown as what it is not.

A job that runs is asked to end if its kind hears that. Whoever does not in
time, alone in its child, loses it; jobs of other kinds end with their child
only when the revoker says ``terminate``.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from celery.platforms import signals
from celery.worker import state as celery_state
from celery.worker.control import control_command

from worker.waiting import Waiting

if TYPE_CHECKING:
    from worker.consumer import Consumer

_TERMINATING_SIGNAL = "TERM"

#: How long a job that was asked to end may go on: code that computes hears nothing.
_GRACE_SECONDS = 2.0


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
    """Remember the ids and have those end that hear it; with ``terminate`` end others' children."""
    ids = {task_id} if isinstance(task_id, str) else set(task_id or ())
    celery_state.revoked.update(ids)
    ended = end_running(ids, state.consumer)
    if terminate:
        ended |= _terminate(state, ids - ended, signal)
    words = f"terminating {', '.join(sorted(ended))}" if ended else "flagged as revoked"
    return {"ok": f"tasks {', '.join(sorted(ids))}: {words}"}


def terminate(
    state: Any, signal: str | int, task_id: str | Iterable[str], **_: Any
) -> dict[str, str]:
    """Revoke, and end the children that run the jobs now."""
    return revoke(state, task_id, terminate=True, signal=signal)


def end_running(ids: Collection[str], consumer: "Consumer") -> set[str]:
    """Ask running jobs to end whose kinds hear that; return those that were asked."""
    running = [one for one, _, _ in consumer.dispatcher.running_jobs() if one.id in ids]
    asked = {one.id for one in running if _hears(one, consumer)}
    for id_ in asked:
        consumer.app.child_signals.unwant(id_)
    if asked:
        consumer.timer.call_after(_GRACE_SECONDS, _end_children, (asked, consumer))
    return asked


def _hears(one: Waiting, consumer: "Consumer") -> bool:
    kind = getattr(consumer.app.tasks.get(one.task), "kind", None)
    return kind is not None and kind.hears


def _end_children(ids: Collection[str], consumer: "Consumer") -> None:
    """End the children of jobs that go on although they were asked to end; alone, no others."""
    number = signals.signum(_TERMINATING_SIGNAL)
    for one, pid in consumer.dispatcher.lone_jobs():
        if one.id in ids:
            consumer.pool.terminate_job(pid, number)


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
