"""Celery's Request, with its power to end a job taken away.

Stock requests mark a job as revoked, expired or timed out on their own. Here
the ledger is asked first: a job that committed is never shown as anything else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from celery.app.task import Context
from celery.worker import state
from celery.worker.request import Request as CeleryRequest
from kombu.message import Message


class Request(CeleryRequest):  # type: ignore[misc]  # Celery has no types
    """A request whose fate is decided by the claim, in a child's transaction."""

    @property
    def wants_result(self) -> bool:
        """Whether the producer asked for a result."""
        return not self.ignore_result

    @property
    def context(self) -> Context:
        """Celery's context, for the result's metadata."""
        return self._context

    @property
    def tag(self) -> str:
        """The broker's name for this delivery."""
        return str(self._message.delivery_tag)

    def cancel_reason(self, now: datetime) -> str | None:
        """Say why the job must not start, if it has not committed; None if it may."""
        if self.id in state.revoked:
            return "revoked"
        if self.expires and now > self.expires:
            return f"expired at {self.expires.isoformat()}"
        return None

    def finish(self, *, successful: bool) -> None:
        """Drop the request from Celery's books of running jobs."""
        state.task_ready(self, successful=successful)

    def unstart(self) -> None:
        """Take the request out of the running ones: it waits again."""
        state.active_requests.discard(self)

    def revoked(self) -> bool:
        """Let every job through to the claim, which knows more."""
        return False

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """End the child that runs the job; what became of it the ledger tells."""
        if self.worker_pid and self in state.active_requests:
            pool.terminate_job(self.worker_pid, signal)

    def cancel(self, pool: Any, signal: Any = None, **_: Any) -> None:
        """End the child that runs the job, without claiming anything about the job."""
        self.terminate(pool, signal)


@dataclass(slots=True)
class RawMessage:
    """A message that no request can be made of; it is only ever buried."""

    id: str
    message: Message
    emit: Callable[..., None] | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wants_result(self) -> bool:
        """Whether the producer asked for a result, as far as can be read."""
        return bool(self.id) and not self.headers.get("ignore_result")

    @property
    def context(self) -> Any:
        """There is no context to speak of."""
        return None

    @property
    def tag(self) -> str:
        """The broker's name for this delivery."""
        return str(self.message.delivery_tag)

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's name
        """Tell Flower."""
        if self.emit is not None and self.id:
            self.emit(type, uuid=self.id, **fields)

    def finish(self, *, successful: bool) -> None:
        """Nothing is in Celery's books."""
