"""How Celery's consumer, its loop and its remote control call what ours replaces.

Each test names its hook: when one fails after an upgrade, that hook broke.
"""

import inspect
import os
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, signals
from celery.apps import worker as apps_worker
from celery.events import EventDispatcher
from celery.worker import WorkController, control, loops, state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer import Events as ConsumerEvents
from celery.worker.consumer import Tasks as ConsumerTasks
from kombu import Connection
from kombu.asynchronous import Hub
from kombu.exceptions import OperationalError
from kombu.transport.virtual import Message


@pytest.mark.parametrize(
    ("caller", "call"),
    [
        (loops.asynloop, "on_task_received = obj.create_task_handler()"),
        (loops.asynloop, "obj.register_with_event_loop(hub)"),
        (loops.asynloop, "consumer.on_message = on_task_received"),
        (loops.asynloop, "state.maybe_shutdown()"),
        (state.maybe_shutdown, "should_terminate is not None and should_terminate is not False"),
        (state.maybe_shutdown, "should_stop is not None and should_stop is not False"),
        (CeleryConsumer.start, "self.on_close()"),
        (CeleryConsumer.connection_for_read, "self.ensure_connected("),
        (CeleryConsumer.ensure_connected, "conn = conn.ensure_connection("),
        (CeleryConsumer.ensure_connected, "callback=maybe_shutdown"),
        (CeleryConsumer.on_close, "self.controller.semaphore.clear()"),
        (ConsumerEvents.start, "on_send_buffered=c.on_send_event_buffered if c.hub"),
        (ConsumerEvents.start, "buffer_group=['task'] if c.hub"),
        (ConsumerTasks.start, "c.update_strategies()"),
        (ConsumerTasks.start, "c.connection.default_channel"),
    ],
)
def test_consumer_hooks_are_called(caller: Any, call: str) -> None:
    """The loop, the consumer and its steps call what ours overrides, and in this form."""
    assert call in inspect.getsource(caller)


def test_handler_gets_every_message_before_celery_looks() -> None:
    """create_task_handler returns a function of the message alone, which ours wraps."""
    consumer = SimpleNamespace(
        strategies={},
        on_unknown_message=None,
        on_unknown_task=lambda _body, message, _exc: message.headers["id"],
        on_invalid_task=None,
        on_task_message=set(),
        call_soon_ack=None,
    )

    receive = CeleryConsumer.create_task_handler(consumer)

    payload = {"headers": {"task": "shop.sell", "id": "j"}, "properties": {"delivery_tag": "t"}}
    assert "j" == receive(Message(payload, channel=None))


def test_connection_retries_call_back_between_tries() -> None:
    """Connection.ensure_connection: callback at each try, and the pauses that we shorten."""
    calls: list[str] = []

    with pytest.raises(OperationalError):
        Connection("redis://127.0.0.1:1").ensure_connection(
            lambda *_: calls.append("error"),
            2,
            callback=lambda: calls.append("between"),
            interval_start=0,
            interval_step=0,
            interval_max=0,
        )

    assert 2 == calls.count("error")
    assert 2 <= calls.count("between")


def test_loop_calls_soon_later_and_at_every_tick() -> None:
    """Hub: call_soon, timer.call_after with arguments, and on_tick, a set that outlives resets."""
    hub = Hub()
    called: list[str] = []
    hub.on_tick.add(lambda: called.append("tick"))
    hub.call_soon(called.append, "soon")
    hub.timer.call_after(0.0, called.append, ("later",))
    # Something to read, or there is nothing to loop over.
    reading, writing = os.pipe()
    hub.add_reader(reading, lambda: None)
    os.write(writing, b".")

    loop = hub.create_loop()
    for _ in range(3):
        next(loop)

    assert {"soon", "later", "tick"} == set(called)
    hub.close()
    os.close(writing)


def test_remote_control_commands_can_be_replaced() -> None:
    """control.Panel: the last one registered under a name or an alias counts, of either type."""
    before = dict(control.Panel.data), dict(control.Panel.meta)
    try:
        control.control_command(name="revoke", variadic="task_id")(len)
        control.inspect_command(name="active", alias="dump_active")(abs)

        assert len is control.Panel.data["revoke"]
        assert abs is control.Panel.data["active"] is control.Panel.data["dump_active"]
        assert "control" == control.Panel.meta["revoke"].type
    finally:
        for now, then in zip((control.Panel.data, control.Panel.meta), before, strict=True):
            now.update(then)


def test_celerys_own_inspection_can_be_asked() -> None:
    """control.active, reserved, query_task answer without arguments of the wire."""
    panel = SimpleNamespace(tset=set)

    assert ["state", "safe"] == list(inspect.signature(control.active).parameters)[:2]
    assert [] == control.active(panel) == control.reserved(panel)
    assert {} == control.query_task(panel, ["j"])


def test_events_are_gathered_and_flushed() -> None:
    """EventDispatcher: send gathers up to buffer_limit, tells on_send_buffered, flush sends all."""
    told: list[int] = []
    sent: list[Any] = []
    app = Celery("x", broker="memory://", set_as_current=False)
    events = EventDispatcher(Connection("memory://"), app=app, enabled=False, buffer_group=["task"])
    events.enabled, events.producer = True, None
    events.on_send_buffered = lambda: told.append(1)
    events._publish = lambda *args, **_: sent.append(args)
    events.buffer_limit = 3

    events.send("task-received", uuid="j")
    events.send("task-succeeded", uuid="j")
    assert ([], 2) == (sent, len(told))

    events.flush()
    ((gathered, *_),) = sent
    assert ["task-received", "task-succeeded"] == [event["type"] for event in gathered]


def test_celery_counts_what_was_done() -> None:
    """celery.worker.state: total_count by task, all_total_count a list of one, revoked a set."""
    assert isinstance(state.total_count, Counter)
    assert 1 == len(state.all_total_count)
    assert "j" not in state.revoked
    assert callable(state.task_reserved)
    assert callable(state.task_ready)


@pytest.mark.parametrize(
    "name",
    [
        "worker_init",
        "worker_process_init",
        "worker_process_shutdown",
        "worker_ready",
        "worker_shutting_down",
        "worker_shutdown",
        "after_setup_logger",
    ],
)
def test_signals_exist(name: str) -> None:
    """celery.signals: those that a worker's life hangs on."""
    assert callable(getattr(signals, name).connect)


def test_shutting_down_is_told_before_the_loop_ends() -> None:
    """worker_shutting_down comes from the signal handler, worker_shutdown when all has stopped."""
    source = inspect.getsource(apps_worker._shutdown_handler)

    assert "signals.worker_shutting_down.send(" in source
    assert "signals.worker_shutdown.send(" in inspect.getsource(apps_worker.Worker) + (
        inspect.getsource(WorkController)
    )
