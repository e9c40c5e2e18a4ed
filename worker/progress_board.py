"""Show how far long jobs are: in Celery's state PROGRESS, and in Flower.

Runs in the main process. What is shown here decides nothing: what cannot be
told is left out, and the next word of the child says more.
"""

import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from celery.app.task import Context
from celery.worker import state
from redis.exceptions import RedisError

from celeriac.contract import PROGRESS_STATUS
from worker.request import Request
from worker.revoke import end_running
from worker.waiting import Waiting

if TYPE_CHECKING:
    from worker.consumer import Consumer

_STORE = (files("worker") / "store_progress.lua").read_text(encoding="utf-8")
#: How the text of a job's result begins once the job committed; see worker.results.
_COMMITTED = '{"status": "SUCCESS"'

#: A result store that did not answer is left in peace for so long.
_PAUSE_SECONDS = 30.0


class ProgressBoard:
    """The progress of one worker's long jobs."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer
        self._silent_until = 0.0

    def show(self, job_id: str, progress: dict[str, Any], went_on: bool) -> None:  # noqa: FBT001 - one fact
        """Show what a child told; end the job if somebody revoked it meanwhile."""
        one = self._find(job_id)
        if one is None:
            return  # It ended before its last words were heard.
        if went_on:
            # Whatever it last died of, the job is not to blame for it.
            one.crashes = 0
        if self._is_revoked(job_id):
            if not self._consumer.app.child_signals.is_unwanted(job_id):
                end_running({job_id}, self._consumer)
            return
        if one.wants_result and time.monotonic() > self._silent_until:
            self._store(one, progress)
        self._announce(one, _in_words(progress))

    def _find(self, job_id: str) -> Waiting | None:
        holds = self._consumer.reservation.slabs.holds
        for one, pid, _ in self._consumer.dispatcher.running_jobs():
            if one.id == job_id and pid is not None and holds(one):
                return one
        return None

    def _is_revoked(self, job_id: str) -> bool:
        try:
            self._consumer.reservation.learn_cancelled([job_id])
        except (RedisError, OSError):
            return False  # Asked again when the child next tells something.
        return job_id in state.revoked

    def _store(self, one: Waiting, progress: dict[str, Any]) -> None:
        backend = self._consumer.app.backend
        context = one.request.context if isinstance(one.request, Request) else Context()
        meta = backend._get_result_meta(  # noqa: SLF001 - see the contract tests
            result=progress, state=PROGRESS_STATUS, traceback=None, request=context
        )
        text = backend.encode(meta | {"task_id": one.id})
        key, seconds = backend.get_key_for_task(one.id), int(backend.expires or 0)
        try:
            backend.client.eval(_STORE, 1, key, text, seconds, _COMMITTED)
        except (RedisError, OSError):
            self._silent_until = time.monotonic() + _PAUSE_SECONDS

    def _announce(self, one: Waiting, text: str) -> None:
        if isinstance(one.request, Request):
            one.request.send_event("task-progress", result=text)
        elif one.is_shown:
            self._consumer.announcer.progressed(one, text)


def _in_words(progress: dict[str, Any]) -> str:
    """Say it for Flower, in the place of the result that is to come."""
    words = [f"{progress['rows']:,} rows", f"{progress['rows_per_second']:,} rows/s"]
    if progress["total_bytes"]:
        words.insert(0, f"{100 * progress['bytes'] // progress['total_bytes']} %")
    if progress["quarantined"]:
        words.append(f"{progress['quarantined']:,} quarantined")
    if progress["remaining_seconds"] is not None:
        words.append(f"{progress['remaining_seconds']:.0f} s left")
    return ", ".join(words)
