"""Celery's consumer, taught to bury what it would delete.

Stock Celery acknowledges or rejects messages that it cannot read or whose
task it does not know; on Redis both delete them.
"""

from collections.abc import Callable
from typing import Any

from celery.bootsteps import RUN
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.message import Message

from worker.dispatch import Dispatcher
from worker.envelope import UNREADABLE
from worker.message import is_text
from worker.request import RawMessage

_log = get_logger(__name__)

_FLUSH_SECONDS = 0.05


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """A consumer that loses no message and hands jobs over in batches."""

    def __init__(self, *args: Any, worker_options: Any = None, **kwargs: Any) -> None:
        # Neither is of use to batches, and both scan for other workers at start
        # and leave keys behind in Redis.
        quiet = {"without_gossip": True, "without_mingle": True}
        self._flush_is_due = False
        super().__init__(*args, worker_options=dict(worker_options or {}, **quiet), **kwargs)
        self.dispatcher = Dispatcher(self)

    def update_strategies(self) -> None:
        """Send events in larger portions: a settled batch brings hundreds at a time."""
        if self.event_dispatcher:
            self.event_dispatcher.buffer_limit = self.app.conf.celeriac_event_buffer
        super().update_strategies()

    def on_send_event_buffered(self) -> None:
        """Send events a few times a second, not at every tick of the loop.

        Each sending is a round trip, whatever it carries, and nobody watches
        Flower more closely than that.
        """
        if not self._flush_is_due:
            self._flush_is_due = True
            self.timer.call_after(_FLUSH_SECONDS, self.flush_events)

    def flush_events(self) -> None:
        """Send the events that were gathered."""
        self._flush_is_due = False
        self._flush_events()

    def flush_events_if_stopping(self) -> None:
        """Send them now if the loop ticks no more: what is settled last has to be told too."""
        if self.blueprint.state != RUN:
            self.flush_events()

    def on_close(self) -> None:
        """Forget what waits: the broker delivers it again, under new tags."""
        # Timers of the old connection may have been cancelled with it.
        self._flush_is_due = False
        self.dispatcher.drop_waiting()
        super().on_close()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], Any]:
        """Look at the task's name before Celery does: one that is no text would end the worker."""
        receive = super().create_task_handler(*args, **kwargs)

        def on_message(message: Message) -> Any:
            if UNREADABLE in message.headers:
                return self.bury(message, f"no message of Celery: {message.headers[UNREADABLE]}")
            task = message.headers.get("task", "")
            if isinstance(task, str):
                return receive(message)
            return self.bury(message, f"task must be a string, got {task!r}")

        return on_message

    def on_unknown_message(self, body: Any, message: Message) -> None:  # noqa: ARG002 - Celery's
        """Bury a message that is no task."""
        self.bury(message, "the message has no task header: it is no Celery task message")

    def on_unknown_task(
        self,
        body: Any,  # noqa: ARG002 - Celery's signature
        message: Message,
        exc: Exception,  # noqa: ARG002 - the same
    ) -> None:
        """Bury a task that no kind carries out."""
        known = ", ".join(sorted(name for name in self.app.tasks if not name.startswith("celery.")))
        self.bury(message, f"unknown task {message.headers.get('task')!r}; known are: {known}")

    def on_invalid_task(
        self,
        body: Any,  # noqa: ARG002 - Celery's signature
        message: Message,
        exc: Exception,
    ) -> None:
        """Bury a task message of a form that Celery refuses."""
        self.bury(message, f"invalid task message: {exc}")

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Bury a message whose body cannot be read."""
        self.bury(message, f"the body cannot be decoded: {exc}")

    def bury(self, message: Message, reason: str) -> None:
        """Have the message kept in the ledger, as it came, with its reason."""
        headers = message.headers if isinstance(message.headers, dict) else {}
        id_ = headers.get("id")
        emit = self.event_dispatcher.send if self.event_dispatcher else None
        raw = RawMessage(
            id=id_ if is_text(id_) else "",
            message=message,
            connection_errors=self.connection_errors,
            log=_log,
            emit=emit,
            headers=headers,
        )
        self.dispatcher.add_raw(raw, reason)
