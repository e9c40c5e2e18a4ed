"""The hooks of Celery's worker that are no public API still hold.

Each test names its hook: when one fails after an upgrade, that hook broke.
"""

import inspect
import os
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery.concurrency.asynpool import AsynPool
from celery.worker import WorkController, components, state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.request import Request as CeleryRequest
from celery.worker.strategy import default
from kombu.asynchronous.semaphore import LaxBoundedSemaphore
from kombu.transport.virtual import Message

from worker.request import Request

BODY = '[["a"], {"b": 1}, {"chain": null}]'
HEADERS = {"task": "shop.sell", "id": "j", "argsrepr": "words", "kwargsrepr": ""}


@pytest.fixture
def app() -> Celery:
    """An application with one task, connected to nothing."""
    app = Celery("contract", broker="memory://", set_as_current=False)
    app.task(name="shop.sell", typing=False, shared=False, acks_late=True)(_sell)
    app.tasks["shop.sell"].Request = "worker.request:Request"
    return app


def message(**headers: Any) -> Message:
    """Return a message as the transport delivers it."""
    payload = {
        "body": BODY,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": HEADERS | headers,
        "properties": {"delivery_tag": "t", "delivery_info": {}, "correlation_id": "j"},
    }
    return Message(payload, channel=SimpleNamespace(decode_body=lambda body, _: body))


def consumer_of(taken: list[CeleryRequest]) -> SimpleNamespace:
    """Return as much of a consumer as the default strategy asks for."""
    return SimpleNamespace(
        hostname="me",
        connection_errors=(),
        event_dispatcher=None,
        timer=SimpleNamespace(call_at=None),
        apply_eta_task=None,
        disable_rate_limits=True,
        task_buckets={"shop.sell": None},
        on_task_request=taken.append,
        _limit_task=None,
        _limit_post_eta=None,
        pool=SimpleNamespace(apply_async=None),
        controller=SimpleNamespace(state=SimpleNamespace(revoked=set())),
    )


def receive(app: Celery, **headers: Any) -> Request:
    """Let the default strategy make a request of a message."""
    taken: list[CeleryRequest] = []
    handler = default(app.tasks["shop.sell"], app, consumer_of(taken))
    handler(message(**headers), None, None, None, [])
    (request,) = taken
    state.reserved_requests.discard(request)
    return request


def test_strategy_hands_requests_to_on_task_request(app: Celery) -> None:
    """celery.worker.strategy.default: makes Task.Request, ends in consumer.on_task_request."""
    request = receive(app)

    assert isinstance(request, Request)
    assert ("j", "shop.sell", BODY.encode()) == (request.id, request.type, request.body)
    assert (["a"], {"b": 1}) == (list(request.args), dict(request.kwargs))


def test_request_keeps_its_internals(app: Celery) -> None:
    """Request: _context, ignore_result, expires, and words taken from the headers."""
    request = receive(app, ignore_result=True, expires="2024-05-01T00:00:00+00:00")

    assert ("j", "shop.sell") == (request.context.id, request.context.task)
    assert not request.wants_result
    assert 2024 == request.expires.year
    assert "words" == request.argsrepr


def test_revoked_request_passes_the_strategy(app: Celery) -> None:
    """strategy.default asks request.revoked(), which ours answers with no."""
    request = receive(app, expires="2024-05-01T00:00:00+00:00")

    assert request.revoked() is False


def test_active_requests_follow_accept_and_finish(app: Celery) -> None:
    """Request.on_accepted and state.task_ready keep state.active_requests."""
    request = receive(app)

    request.on_accepted(os.getpid(), 0.0)
    assert request in state.active_requests
    assert os.getpid() == request.worker_pid

    request.finish(successful=True)
    assert request not in state.active_requests


def test_semaphore_calls_when_a_child_is_free() -> None:
    """controller._quick_acquire and _quick_release: the pool's semaphore, calling back in turn."""
    source = inspect.getsource(components.Pool.create)
    assert "w._quick_acquire = w.semaphore.acquire" in source
    assert "w._quick_release = w.semaphore.release" in source
    called: list[str] = []
    semaphore = LaxBoundedSemaphore(1)

    semaphore.acquire(called.append, "at once")
    semaphore.acquire(called.append, "when free")
    assert ["at once"] == called

    semaphore.release()
    assert ["at once", "when free"] == called


def test_pool_writes_when_it_is_told_to() -> None:
    """hub.consolidate_callback writes waiting batches to pipes; three sets say to which."""
    source = inspect.getsource(AsynPool)

    assert "hub.consolidate_callback = schedule_writes" in source
    for name in ("_all_inqueues", "_active_writes", "_busy_workers"):
        assert f"self.{name} = set()" in source, name


def test_worker_consumer_is_a_setting() -> None:
    """conf.worker_consumer names the class that the worker makes."""
    assert "either('worker_consumer'" in inspect.getsource(WorkController.setup_defaults)
    assert "celery.worker.consumer:Consumer" == Celery("x").conf.worker_consumer


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("on_unknown_message", ["self", "body", "message"]),
        ("on_unknown_task", ["self", "body", "message", "exc"]),
        ("on_invalid_task", ["self", "body", "message", "exc"]),
        ("on_decode_error", ["self", "message", "exc"]),
        ("create_task_handler", ["self", "promise"]),
        ("update_strategies", ["self"]),
        ("on_close", ["self"]),
        ("on_send_event_buffered", ["self"]),
        ("_flush_events", ["self"]),
        ("register_with_event_loop", ["self", "hub"]),
        ("ensure_connected", ["self", "conn"]),
        ("shutdown", ["self"]),
    ],
)
def test_consumer_hooks(name: str, parameters: list[str]) -> None:
    """celery.worker.consumer.Consumer has the methods that ours overrides."""
    assert parameters == list(inspect.signature(getattr(CeleryConsumer, name)).parameters)


def _sell(*_: Any) -> None:
    """Never called: a name for the default strategy to find."""
