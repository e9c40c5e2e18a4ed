"""What Celery does with a message of ours: check it, then let it wait for its batch.

``Task.Strategy`` of every kind. Celery's own strategy makes the request, the
``task-received`` event, and waits for ETAs; only its last step is replaced.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from celery import Celery, Task
from celery.exceptions import InvalidTaskError
from celery.utils.time import maybe_iso8601, maybe_make_aware, timezone
from celery.worker import state
from celery.worker.strategy import default
from kombu.asynchronous.timer import to_timestamp
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.message import Message

from tasks.kind import Kind
from worker.consumer import Consumer
from worker.message import is_text
from worker.postpone import postponed_form
from worker.preview import preview_of
from worker.request import Request

_REFUSED_BY_CELERY = (InvalidTaskError, ContentDisallowed, DecodeError)


class _Intake:
    """The consumer as Celery's strategy sees it; requests go to the dispatcher."""

    def __init__(self, consumer: Consumer, kind: Kind[Any]) -> None:
        self._consumer = consumer
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def on_task_request(self, request: Request) -> None:
        preview = preview_of(self._kind, (request.args, request.kwargs))
        self._consumer.dispatcher.add(request, preview)

    def apply_eta_task(self, request: Request) -> None:
        state.task_reserved(request)
        self.on_task_request(request)
        self._consumer.qos.decrement_eventually()


def strategy(task: Task, app: Celery, consumer: Consumer) -> Callable[..., Any]:
    """Return the function that Celery calls with each message of the task."""
    receive = default(task, app, _Intake(consumer, task.kind))

    def on_message(message: Message, body: Any, *rest: Any) -> Any:
        try:
            _refuse_id(message.headers if body is None else body)
            _refuse_eta((message.headers if body is None else body).get("eta"))
            kept = postponed_form(message, datetime.now(UTC)) if body is None else None
            if kept is not None:
                return consumer.postpone(message, kept)
            _describe(message, body, task.kind)
            return receive(message, body, *rest)
        except _REFUSED_BY_CELERY:
            raise
        except Exception as error:  # noqa: BLE001 - the message's edge: it may hold anything
            # KeyError above all: kombu would take it for a lost connection, and start over.
            return consumer.bury(message, f"the message cannot be read: {error!r}")

    return on_message


def _refuse_id(fields: Mapping[str, Any]) -> None:
    """Refuse an id that is no text: everything after Celery relies on it."""
    if not is_text(fields.get("id")):
        raise InvalidTaskError(f"id must be text, got {fields.get('id')!r}")


def _refuse_eta(eta: object) -> None:
    """Refuse a time that no clock reaches: Celery would delete its message."""
    if isinstance(eta, str):
        with suppress(ValueError):  # no time at all: Celery says so itself
            when = maybe_iso8601(eta)
            try:
                to_timestamp(timezone.to_system(maybe_make_aware(when, UTC)))
            except OverflowError as error:
                raise InvalidTaskError(f"eta {eta!r} cannot be waited for: {error}") from error


def _describe(message: Message, body: Any, kind: Kind[Any]) -> None:
    """Put a few words for Flower in the place of the producer's dump of its arguments."""
    if body is not None:
        return  # Protocol 1 keeps its words elsewhere.
    try:
        args, kwargs, _ = message.payload
    except (TypeError, ValueError) as error:
        raise InvalidTaskError(f"the body must be [args, kwargs, embed]: {error}") from error
    if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
        raise InvalidTaskError("the body must be [args, kwargs, embed]")
    preview = preview_of(kind, (args, kwargs))
    message.headers["argsrepr"] = preview.text
    message.headers["kwargsrepr"] = ""
