"""A reset of Celery's event loop leaves nothing half written and nothing half read."""

import os
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

from kombu.asynchronous import Hub

from tests.faults.standstill import let_pass
from worker.pipes import Pipes

TEXT = b"x" * 1_000_000


def write(descriptor: int) -> Iterator[None]:
    """Write a text that the pipe cannot take at once, as Celery writes a batch to a child."""
    left = TEXT
    while left:
        with suppress(BlockingIOError):
            left = left[os.write(descriptor, left) :]
        yield


def test_a_half_written_batch_is_finished_after_a_reset() -> None:
    """What stood in the middle of a pipe when the loop was emptied goes on when it is attached."""
    hub, pipes = Hub(), Pipes()
    source, sink = os.pipe()
    os.set_blocking(sink, False)
    pipes.attach(hub, ())
    hub.add_writer(sink, write(sink))
    loop = hub.create_loop()
    next(loop)
    hub.reset()
    dropped = dict(hub.writers)

    pipes.attach(hub, ())
    loop = hub.create_loop()
    read = b""
    while len(read) < len(TEXT):
        next(loop)
        read += os.read(source, 65536)

    assert {} == dropped
    assert TEXT == read
    hub.close()
    os.close(source)


def test_ordinary_callbacks_register_anew_by_themselves() -> None:
    """A reset takes what is no unfinished step, and attaching does not bring it back."""
    hub, pipes = Hub(), Pipes()
    source, sink = os.pipe()
    pipes.attach(hub, ())
    hub.add_reader(source, print)

    hub.reset()
    pipes.attach(hub, ())

    assert {} == dict(hub.readers)
    hub.close()
    os.close(source)
    os.close(sink)


def test_an_answer_counts_before_a_limit_that_passed_in_the_same_long_turn() -> None:
    """A loop that was held up hears who answered before it looks whose time is up."""
    hub, pipes = Hub(), Pipes()
    source, sink = os.pipe()
    pipes.attach(hub, {source})
    ended: list[str] = []
    hub.add_reader(source, lambda: ended.append(os.read(source, 8).decode()))
    hub.call_later(0.5, ended.append, "too late")
    hub.call_soon(lambda: (os.write(sink, b"answered"), let_pass(1.2)))

    next(hub.create_loop())

    assert ["answered", "too late"] == ended
    hub.close()
    os.close(source)
    os.close(sink)


def test_a_thread_that_fires_the_timers_hears_nobody() -> None:
    """While the pool ends, the main thread reads the pipes itself: two would share each answer."""
    hub, pipes = Hub(), Pipes()
    source, sink = os.pipe()
    pipes.attach(hub, {source})
    heard: list[bytes] = []
    hub.add_reader(source, lambda: heard.append(os.read(source, 4)))
    os.write(sink, b"done")
    let_pass(1.2)

    thread = Thread(target=hub.fire_timers)
    thread.start()
    thread.join()

    assert [] == heard
    hub.close()
    os.close(source)
    os.close(sink)


def test_what_was_said_meanwhile_is_heard_at_once() -> None:
    """An answer that came while the loop stood still is read before the loop runs again."""
    hub, pipes = Hub(), Pipes()
    source, sink = os.pipe()
    pipes.attach(hub, {source})
    hub.reset()
    heard: list[bytes] = []
    os.write(sink, b"done")
    hub.add_reader(source, lambda: heard.append(os.read(source, 4)))

    pipes.attach(hub, {source})

    assert [b"done"] == heard
    hub.close()
    os.close(source)
    os.close(sink)
