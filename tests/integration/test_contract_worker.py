"""How Celery's worker, its pool and its settings use what ours sets or reads.

Each test names its hook: when one fails after an upgrade, that hook broke.
"""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import bootsteps
from celery.app.defaults import NAMESPACES, flatten
from celery.apps import worker as apps_worker
from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool
from celery.events import EventDispatcher
from celery.worker import WorkController, components, control, heartbeat, loops, state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer import Gossip, Mingle
from celery.worker.request import Request as CeleryRequest
from kombu.asynchronous import Hub
from kombu.transport import redis
from kombu.utils.eventio import READ

from tests.workers import ROOT


@pytest.mark.parametrize(
    ("caller", "call"),
    [
        (WorkController.setup_instance, "signals.worker_init.send(sender=self)"),
        (components.Pool.create, "w.pool_cls"),
        (components.Pool.create, "lost_worker_timeout=w.worker_lost_wait"),
        (components.Consumer.create, "w.concurrency * w.prefetch_multiplier"),
        (components.Consumer.create, "worker_options=w.options"),
        (TaskPool.on_start, "self.app.conf.worker_proc_alive_timeout"),
        (TaskPool.num_processes.fget, "self._pool._processes"),
        (AsynPool.register_with_event_loop, "self._fileno_to_outq, self._fileno_to_outq"),
        (CeleryConsumer.__init__, "**dict(worker_options or {}, **kwargs)"),
        (CeleryConsumer.on_close, "if self.pool and self.pool.flush:"),
        (CeleryConsumer.start, "self.app.conf.broker_channel_error_retry"),
        (
            CeleryConsumer.on_connection_error_after_connected,
            "worker_enable_prefetch_count_reduction",
        ),
        (EventDispatcher.__init__, "serializer or self.app.conf.event_serializer"),
        (heartbeat.Heart._send, "self.eventer.send(event,"),
        (heartbeat.Heart.start, "self._send, ('worker-heartbeat',)"),
        (EventDispatcher._publish, "if not self.buffer_while_offline:"),
        (AsynPool._flush_writer, "if not proc._is_alive():"),
        (AsynPool._create_write_handlers, "job._writer = ref(cor)"),
        (AsynPool._create_write_handlers, "job._write_to = proc"),
        (AsynPool._stop_task_handler, "proc.inq.put(None)"),
        (TaskPool.on_stop, "hub.fire_timers()"),
        (apps_worker.Worker.on_start, "self.install_platform_tweaks(self)"),
        (apps_worker.Worker.install_platform_tweaks, "install_worker_term_handler(worker)"),
        (apps_worker._shutdown_handler, "sender=worker.hostname, sig=sig, how=how, exitcode="),
        (state.maybe_shutdown, "raise WorkerTerminate(should_terminate)"),
        (state.maybe_shutdown, "raise WorkerShutdown(should_stop)"),
        (control.shutdown, "raise WorkerShutdown(EX_OK)"),
        (CeleryConsumer.stop, "self.blueprint.stop(self)"),
        (loops.asynloop, "blueprint.state == RUN"),
        (bootsteps.Blueprint.stop, "self.close(parent) self.state = CLOSE"),
        (bootsteps.Blueprint.stop, "self.state = TERMINATE"),
        (redis.Channel._connparams, "channel._on_connection_disconnect(self)"),
    ],
)
def test_what_ours_sets_is_read(caller: Callable[..., Any], call: str) -> None:
    """Celery and kombu look at what ours sets, under these names."""
    assert call in " ".join(inspect.getsource(caller).split())


def test_pool_class_is_made_after_worker_init() -> None:
    """Who checks the pool at worker_init may find a name or a class, and ends the start."""
    source = inspect.getsource(WorkController.setup_instance)

    assert source.index("worker_init.send") < source.index("get_implementation(self.pool_cls)")


def test_settings_are_celerys(worker_env: dict[str, str]) -> None:
    """Every setting of ours is one that Celery knows; a wrong name would be passed over."""
    show = "import json; from worker.app import app; print(json.dumps(sorted(app.conf.changes)))"
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    env = {**os.environ, "PYTHONPATH": path, **worker_env}
    answer = subprocess.run([sys.executable, "-c", show], env=env, capture_output=True, check=True)
    # The last is Celery's own note, of settings under older names.
    known = dict(flatten(NAMESPACES)).keys() | {"deprecated_settings"}

    ours = set(json.loads(answer.stdout))

    assert {"task_acks_late", "worker_lost_wait"} < ours
    assert set() == {name for name in ours if not name.startswith("celeriac_")} - known


@pytest.mark.parametrize(
    ("step", "option"), [(Gossip, "without_gossip"), (Mingle, "without_mingle")]
)
def test_steps_can_be_left_out(step: type, option: str) -> None:
    """Gossip and Mingle: the option that leaves them out is still called so."""
    assert option in inspect.signature(step.__init__).parameters


def test_an_acknowledged_request_is_not_acknowledged_again() -> None:
    """Request.acknowledged: what settle sets, so that Celery's own ways do nothing."""
    said: list[str] = []
    request = SimpleNamespace(
        acknowledged=True,
        _on_ack=lambda *_: said.append("ack"),
        _on_reject=lambda *_: said.append("reject"),
    )

    CeleryRequest.acknowledge(request)
    CeleryRequest.reject(request, requeue=True)

    assert [] == said


def test_loop_keeps_callbacks_with_their_arguments() -> None:
    """Hub.readers and writers: descriptor to callback and arguments; poller.poll gives pairs."""
    hub = Hub()
    there, here = os.pipe()
    hub.add_reader(there, len, "said")
    hub.add_writer(here, print)
    os.write(here, b".")

    heard = [(fd, event) for fd, event in hub.poller.poll(0) if event & READ]

    assert [(there, READ)] == heard
    assert (len, ("said",)) == hub.readers[there]
    assert (print, ()) == hub.writers[here]
    hub.reset()
    assert ({}, {}) == (dict(hub.readers), dict(hub.writers))
    os.close(there)
    os.close(here)
