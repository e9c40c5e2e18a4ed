"""The lists of a queue in Redis: how jobs are pushed, how many wait, how long."""

import time
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Final

from celeriac.contract import PRIORITY_SEPARATOR, PRIORITY_STEPS
from celeriac.errors import QueueFull
from celeriac.options import WhenFull
from celeriac.shipped import shipped
from celeriac.steps import Argument, Ask, Pause, Plan
from celeriac.urls import Address

_PUSH: Final = shipped("push.lua")
_MEASURE: Final = shipped("measure.lua")
#: Between two looks at a full queue: short at first, for one that drains fast.
_FIRST_PAUSE_SECONDS: Final = 0.01
_LONGEST_PAUSE_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits in a queue: jobs that no worker has reserved.

    The oldest of them was enqueued at least ``oldest_seconds`` ago, by the
    clock of who enqueued it; None where nothing waits or only messages that
    say no time are at hand (those of stock Celery say none).
    """

    queue: str
    waiting: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Room:
    """How many jobs may wait in a queue, and how long to wait for room."""

    max_depth: int
    when_full: WhenFull
    seconds: float


@dataclass(slots=True)
class Pushed:
    """How many messages of a push arrived for certain."""

    count: int = 0


def queue_lists(prefix: str, queue: str) -> list[str]:
    """Name the lists of a queue, the most urgent first."""
    ends = ["", *(f"{PRIORITY_SEPARATOR}{step}" for step in PRIORITY_STEPS[1:])]
    return [f"{prefix}{queue}{end}" for end in ends]


@lru_cache
def list_of(prefix: str, queue: str, priority: int) -> str:
    """Name the list in which jobs of a priority wait."""
    return queue_lists(prefix, queue)[bisect(PRIORITY_STEPS, priority) - 1]


def push(
    server: Address, key: str, raws: Sequence[bytes], room: Room | None, pushed: Pushed
) -> Plan[None]:
    """Push messages in one call, all or none; with a limit, as many at a time as there is room.

    ``pushed`` counts what is certain, also when this raises: BrokerUnavailable
    or :class:`QueueFull`.
    """
    if room is None:
        yield Ask(server, ("LPUSH", key, *raws), f"LPUSH {key}")
        pushed.count = len(raws)
        return
    yield from _push_into_room(server, key, raws, room, pushed)


def measure(server: Address, prefix: str, queue: str) -> Plan[Depth]:
    """Count what waits in a queue and ask for the oldest of it."""
    lists = queue_lists(prefix, queue)
    command: tuple[Argument, ...] = ("EVAL", _MEASURE, len(lists), *lists)
    waiting, now, *stamps = yield Ask(server, command, f"LLEN {lists[0]}")
    times = [_seconds_of(stamp) for stamp in stamps]
    known = [float(now) - at for at in times if at is not None]
    return Depth(queue, waiting, max(0.0, *known) if known else None)


def _push_into_room(
    server: Address, key: str, raws: Sequence[bytes], room: Room, pushed: Pushed
) -> Plan[None]:
    ends = time.monotonic() + room.seconds
    pause = _FIRST_PAUSE_SECONDS
    queue = key.partition(PRIORITY_SEPARATOR)[0]
    lists = [key, *(one for one in queue_lists("", queue) if one != key)]
    while True:
        left = raws[pushed.count :]
        command: tuple[Argument, ...] = ("EVAL", _PUSH, len(lists), *lists, room.max_depth)
        count, waiting = yield Ask(server, (*command, *left), f"LPUSH {key}")
        pushed.count += count
        if pushed.count == len(raws):
            return
        remaining = ends - time.monotonic()
        if room.when_full == "refuse" or remaining <= 0:
            raise QueueFull(
                f"{queue} is full, {waiting} jobs wait and max_depth is {room.max_depth},"
                " wait until workers took some, or raise it"
            )
        pause = _FIRST_PAUSE_SECONDS if count else min(2 * pause, _LONGEST_PAUSE_SECONDS)
        yield Pause(min(pause, remaining))


def _seconds_of(stamp: bytes) -> float | None:
    try:
        found = datetime.fromisoformat(stamp.decode("ascii"))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo else found.replace(tzinfo=timezone.utc).timestamp()
