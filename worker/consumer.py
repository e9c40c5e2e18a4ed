"""Celery's consumer: it hands jobs over, outlives its connections, and buries what it would delete.

Stock Celery acknowledges or rejects messages that it cannot read or whose
task it does not know; on Redis both delete them.
"""

import time
from collections.abc import Callable, Sequence
from threading import current_thread, main_thread
from typing import Any

from celery.bootsteps import RUN
from celery.platforms import signals
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.message import Message

from worker.announce import Announcer
from worker.child_deaths import ChildDeaths
from worker.dispatch import Dispatcher
from worker.message import is_text
from worker.pipes import Pipes
from worker.progress_board import ProgressBoard
from worker.request import RawMessage
from worker.sampling import Sampler
from worker.transport.envelope import UNREADABLE
from worker.transport.reservation import Reservation
from worker.transport.server import ServerTooOld
from worker.waiting import POSTPONED, RAW, Waiting

_FLUSH_SECONDS = 0.05
_TELL_AGAIN_SECONDS = 1.0
#: Celery's pauses grow to 30 seconds; a worker that is needed should be back sooner.
_RECONNECT = {"interval_start": 0.2, "interval_step": 0.3, "interval_max": 2.0}


def _nothing() -> None:
    pass


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """A consumer that loses no message and hands jobs over in batches."""

    def __init__(self, *args: Any, worker_options: Any = None, **kwargs: Any) -> None:
        # Neither is of use to batches, and both scan for other workers at start
        # and leave keys behind in Redis.
        quiet = {"without_gossip": True, "without_mingle": True}
        self._flush_is_due = self._tell_is_due = False
        super().__init__(*args, worker_options=dict(worker_options or {}, **quiet), **kwargs)
        self.announcer = Announcer(self)
        self._board = ProgressBoard(self)
        self.pipes = Pipes()
        self._child_deaths = ChildDeaths()
        self._sampler = Sampler(self.app.conf.celeriac_events_per_second)
        self._reservation: Reservation | None = None
        #: Called, maybe more than once, when the loop ends.
        self.on_stopping: Callable[[], object] = _nothing
        self.dispatcher = Dispatcher(self)

    @property
    def reservation(self) -> Reservation:
        """What this worker holds of the broker's messages; known from the first connection on."""
        if self._reservation is None:
            raise RuntimeError("not connected yet: nothing is reserved")
        return self._reservation

    @property
    def is_broker_silent(self) -> bool:
        """Whether the lease could not be renewed last time; asked by other threads, too."""
        return self._reservation is not None and self._reservation.lease.is_broker_silent

    @property
    def is_stopping(self) -> bool:
        """Whether the loop ticks no more, or soon will not."""
        # Asked to stop, Celery ends its turn of the loop first. It notes a status: 0, mostly.
        asked = (state.should_stop, state.should_terminate)
        is_asked = any(one is not None and one is not False for one in asked)
        return is_asked or bool(self.blueprint.state != RUN)

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
        if self.is_stopping:
            self.flush_events()

    def announce_received(self, jobs: Sequence[Waiting]) -> None:
        """Choose the plain jobs that Flower is told of, and tell it that they are here."""
        chosen = self._sampler.choose([one.id for one in jobs], time.monotonic())
        for one, is_shown in zip(jobs, chosen, strict=True):
            if is_shown:
                one.is_shown = True
                self.announcer.received(one)

    def flush_settled(self) -> None:
        """Tell the broker which jobs are over; later, if it does not answer now."""
        if not self.reservation.flush() and not self._tell_is_due:
            self._tell_is_due = True
            self.timer.call_after(_TELL_AGAIN_SECONDS, self._tell_again)
        self.flush_events_if_stopping()

    def _tell_again(self) -> None:
        self._tell_is_due = False
        # While the pool ends, Celery fires the timers in a thread: the broker's connection is not
        # its. What is owed then is told by the main thread, at the last when it releases.
        if current_thread() is main_thread():
            self.flush_settled()

    def register_with_event_loop(self, hub: Any) -> None:
        """Give a sign of life at every tick: the lease is renewed only while they come."""
        super().register_with_event_loop(hub)
        pool = self.pool._pool  # noqa: SLF001 - see the contract tests
        self.pipes.attach(hub, pool._fileno_to_outq)  # noqa: SLF001 - the same
        self._child_deaths.attach(hub, pool)
        self.app.child_signals.listen(hub, self._board.show)
        hub.on_tick.add(self._give_sign_of_life)

    def _give_sign_of_life(self) -> None:
        lease = self.reservation.lease
        lease.beat()
        if lease.was_recovered:
            # This process stood still for longer than its lease: others have its jobs.
            self.dispatcher.drop_waiting()
            self.reservation.start_over()
            lease.was_recovered = False
        elif self.reservation.is_flush_due:
            self.flush_settled()

    def ensure_connected(self, conn: Any) -> Any:
        """Connect again without long pauses; what is held here stays ours meanwhile."""
        connect = conn.ensure_connection

        def ensure_connection(
            errback: Any, max_retries: int | None, callback: Callable[[], None]
        ) -> Any:
            def between_tries() -> None:
                if self._reservation is not None:
                    self._reservation.lease.beat()
                callback()

            return connect(errback, max_retries, callback=between_tries, **_RECONNECT)

        conn.ensure_connection = ensure_connection
        return super().ensure_connected(conn)

    def on_close(self) -> None:
        """Keep what waits here, under our lease, for the next connection."""
        if self._reservation is not None:
            self._reservation.give_back_elsewhere()
        # Celery would throw away the batches that no child has accepted yet.
        self.pool.flush = None
        super().on_close()
        self.dispatcher.connection_lost()

    def cancel_active_requests(self) -> None:
        """End what runs, in a cold shutdown: it goes back to its queue, and nothing is counted."""
        running = {pid for _, pid, _ in self.dispatcher.running_jobs()}
        # Without a pool there are no children any more, whatever is still to be told of batches.
        if None in running and self.pool._pool is not None:  # noqa: SLF001 - see the contract tests
            # A batch on its way to a child: to which one, only the child will say.
            running |= {child.pid for child in self.pool._pool._pool}  # noqa: SLF001 - the same
        for pid in running - {None}:
            # PostgreSQL undoes what is open; a child that waits for it would hear nothing milder.
            self.pool.terminate_job(pid, signals.signum("KILL"))

    def stop(self) -> None:
        """End the loop, whoever asked for it; what runs goes on, and the pool ends next."""
        # A remote control asks without a signal, and some errors do: the same as at a signal.
        self.app.child_signals.stop()
        self.on_stopping()
        if self._reservation is not None:
            self._reservation.lease.hold_on()
        try:
            if self.pool._pool is not None:  # noqa: SLF001 - see the contract tests
                self.pipes.finish_writing(self.pool._pool)  # noqa: SLF001 - the same
        finally:
            super().stop()

    def shutdown(self) -> None:
        """Disconnect, then give back what is still reserved."""
        super().shutdown()
        self.release()

    def release(self) -> None:
        """Give back what is still reserved; a second call does nothing."""
        if self._reservation is not None:
            self._reservation.release()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], Any]:
        """Look at the task's name before Celery does: one that is no text would end the worker."""
        receive = super().create_task_handler(*args, **kwargs)
        reservation = self._reservation = self.connection.default_channel.reservation
        reservation.plain_tasks = frozenset(self.app.batching.bounds) - {RAW, POSTPONED}
        reservation.intake = self.dispatcher.add_plain
        reservation.on_cancelled = state.revoked.update
        try:
            reservation.start()
        except ServerTooOld as error:
            raise SystemExit(str(error)) from error

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
        self.dispatcher.add_raw(self._raw(message), reason)

    def postpone(self, message: Message, kept: bytes) -> None:
        """Have the message wait in the outbox until its time."""
        self.dispatcher.add_postponed(self._raw(message), kept)

    def _raw(self, message: Message) -> RawMessage:
        headers = message.headers if isinstance(message.headers, dict) else {}
        id_ = headers.get("id")
        emit = self.event_dispatcher.send if self.event_dispatcher else None
        return RawMessage(
            id=id_ if is_text(id_) else "",
            message=message,
            emit=emit,
            headers=headers,
        )
