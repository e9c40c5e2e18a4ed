"""Let what is half said to a child, or half heard from it, come to its end.

When the broker's connection breaks, Celery empties its event loop, and with
it the writers and readers that stand in the middle of a pipe. A child would
wait for the rest of its batch for ever, and whatever follows would be read
out of step.
"""

import fcntl
import os
import sys
import termios
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import suppress
from inspect import isgenerator
from threading import current_thread, main_thread
from time import monotonic, sleep
from typing import Any

from kombu.utils.eventio import READ

_Add = Callable[..., None]

#: A bound for the worst: a child that talks faster than it is heard.
_MOST_STEPS = 10_000
_READ_BYTES = 1 << 16
#: Of a pipe that holds no more than this, a page is free at least.
_FULL_BYTES = 1 << 12
_READING_SECONDS = 0.01
#: A turn of the loop that took longer kept answers waiting.
_LONG_TURN_SECONDS = 1.0


class Pipes:
    """The unfinished writers and readers of one event loop, over its resets; it writes, too."""

    def __init__(self) -> None:
        self._hub: Any = None
        self._answers: Container[int] = ()
        self._unfinished: list[tuple[_Add, int, Any]] = []

    def attach(self, hub: Any, answers: Container[int]) -> None:
        """Bring back what a reset took; after the pool has registered with the loop again.

        ``answers`` are the descriptors over which children answer. What they
        said meanwhile is heard at once: the loop would first look whose time
        is up. So it is after every turn that took long, such as one that waited
        for a silent broker.
        """
        self._answers = answers
        unfinished, self._unfinished = self._unfinished, []
        for add, descriptor, step in unfinished:
            add(descriptor, step)
        if self._hub is hub:
            _hear(hub, answers)
        else:
            self._hub = hub
            self._watch(hub)
            self._watch_time(hub)

    def write_now(self, pool: Any) -> None:
        """Write batches that wait to idle children, whose pipes are empty.

        The loop would ask first whether they can be written to, and come
        back to them at its next turn.
        """
        idle = pool._all_inqueues - pool._active_writes - pool._busy_workers  # noqa: SLF001 - see the contract tests
        if idle and self._hub is not None and self._hub.consolidate_callback is not None:
            self._hub.consolidate_callback([*idle])

    def finish_writing(self, pool: Any) -> None:
        """Say to its end what is half said, before children are told that this was all.

        Else they would take that word for a part of their batch, and wait for the rest for ever.
        Waits for a child to read; what a dead one did not read is thrown away, so that there is
        room for the word, which the pool says to the dead as well.
        """
        for job in [*pool._cache.values()]:  # noqa: SLF001 - see the contract tests
            writer = job._writer() if hasattr(job, "_writer") else None  # noqa: SLF001 - the same
            if writer is not None:
                pool._flush_writer(job._write_to, writer)  # noqa: SLF001 - the same
        for child in [*pool._pool]:  # noqa: SLF001 - the same
            _make_room(child)

    def _watch(self, hub: Any) -> None:
        reset = hub.reset

        def reset_and_remember() -> None:
            self._unfinished = [*_steps(hub.writers, hub.add_writer)]
            self._unfinished += _steps(hub.readers, hub.add_reader)
            reset()

        hub.reset = reset_and_remember

    def _watch_time(self, hub: Any) -> None:
        fire_timers, looked_at = hub.fire_timers, monotonic()

        def hear_and_fire(*args: Any, **options: Any) -> Any:
            nonlocal looked_at
            # While the pool ends, Celery fires the timers in a thread: the pipes are not its.
            if monotonic() - looked_at > _LONG_TURN_SECONDS and current_thread() is main_thread():
                _hear(hub, self._answers)
            looked_at = monotonic()
            return fire_timers(*args, **options)

        hub.fire_timers = hear_and_fire


def _make_room(child: Any) -> None:
    if child.inq._reader.closed:  # noqa: SLF001 - see the contract tests
        return
    descriptor = child.inq._reader.fileno()  # noqa: SLF001 - the same
    while _unread_bytes(descriptor) > _FULL_BYTES:
        if not child._is_alive():  # noqa: SLF001 - the same
            _throw_away(descriptor)
            return
        sleep(_READING_SECONDS)


def _unread_bytes(descriptor: int) -> int:
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)


def _throw_away(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while os.read(descriptor, _READ_BYTES):
            pass


def _steps(callbacks: Mapping[int, Any], add: _Add) -> Iterator[tuple[_Add, int, Any]]:
    """Yield what is resumed step by step; all else registers anew by itself."""
    for descriptor, callback in callbacks.items():
        # Descriptors that wait for any batch to write have no callback of their own.
        if callback is not None and isgenerator(callback[0]):
            yield add, descriptor, callback[0]


def _hear(hub: Any, answers: Container[int]) -> None:
    for _ in range(_MOST_STEPS):
        events = hub.poller.poll(0) or ()
        ready = [fd for fd, event in events if event & READ and fd in answers and fd in hub.readers]
        if not ready:
            return
        for descriptor in ready:
            _read(hub, descriptor)


def _read(hub: Any, descriptor: int) -> None:
    callback, arguments = hub.readers[descriptor]
    if not isgenerator(callback):
        callback(*arguments)
        return
    try:
        next(callback)
    except StopIteration:
        return
    except (OSError, EOFError):
        hub.remove_reader(descriptor)
