"""Read the next chunk of a file while PostgreSQL works on the last one."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from queue import Empty, Full, Queue
from typing import TypeVar

Item = TypeVar("Item")

#: How often the reader looks whether anybody still wants what it has read.
_LOOK_SECONDS = 0.2
#: How often a run that waits for its reader says that it lives.
_BEAT_SECONDS = 1.0


class _End:
    """What comes after the last item: nothing, or why there is no more."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def read_ahead(
    items: Iterator[Item], beat: Callable[[], None], give_up: Callable[[], None]
) -> Generator[Item, None, None]:
    """Yield the items, each made by a thread while the one before is used.

    Two items wait at most: one here, one in the thread. What the iterator
    raises is raised here, after what came before it. While nothing comes,
    ``beat`` is called here, and may raise. Close what this returns: the thread
    has let go of the iterator then. If that is before the end, ``give_up`` is
    called first; it has to make the iterator raise soon.
    """
    waiting: Queue[Item | _End] = Queue(maxsize=1)
    is_closed = threading.Event()
    thread = threading.Thread(
        target=_read, args=(items, waiting, is_closed), name="read-ahead", daemon=True
    )
    thread.start()
    try:
        while not isinstance(one := _next(waiting, beat), _End):
            yield one
        if one.error is not None:
            raise one.error
    except BaseException:
        give_up()
        raise
    finally:
        is_closed.set()
        thread.join()


def make_ahead(
    make: Callable[[], Item], beat: Callable[[], None], give_up: Callable[[], None]
) -> Item:
    """Return what is made in a thread, under the same rules."""
    with closing(read_ahead(_only(make), beat, give_up)) as items:
        (made,) = items
        return made


def _only(make: Callable[[], Item]) -> Iterator[Item]:
    yield make()


def _next(waiting: "Queue[Item | _End]", beat: Callable[[], None]) -> "Item | _End":
    while True:
        try:
            return waiting.get(timeout=_BEAT_SECONDS)
        except Empty:
            beat()


def _read(items: Iterator[Item], waiting: "Queue[Item | _End]", is_closed: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if not _offer(item, waiting, is_closed):
                return
    except BaseException as raised:  # noqa: BLE001 - it is raised where the items are used
        error = raised
    _offer(_End(error), waiting, is_closed)


def _offer(item: "Item | _End", waiting: "Queue[Item | _End]", is_closed: threading.Event) -> bool:
    """Hand an item over; False if nobody wants it any more."""
    while not is_closed.is_set():
        try:
            waiting.put(item, timeout=_LOOK_SECONDS)
        except Full:
            continue
        return True
    return False
