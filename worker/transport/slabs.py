"""What this worker has reserved and not yet settled: its slabs, as Redis holds them. Pure.

A slab is done when its last job is settled. While a few jobs of one take
long, the others' messages would stay in Redis with them; so once half of a
slab is settled, it is rewritten without them.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

#: Number of the slab into which an idle worker lets its next message be moved.
WAITING_SLAB = 0


class Reserved(Protocol):
    """A job with the place of its message."""

    @property
    def slab(self) -> int:
        """Number of the slab."""

    @property
    def position(self) -> int:
        """Position in the slab as it was reserved, from 0."""


class Place(NamedTuple):
    """Where the message of a job is that Celery has; its delivery tag says so."""

    slab: int
    position: int

    @property
    def tag(self) -> str:
        """The delivery tag."""
        return f"{self.slab}:{self.position}"


def place_of(tag: str) -> Place:
    """Return the place that a delivery tag names."""
    slab, _, position = tag.partition(":")
    return Place(int(slab), int(position))


class Settling(msgspec.Struct):
    """What to tell Redis in one call: the argument of ``settle.lua``."""

    suspected: list[tuple[int, int, int]] = msgspec.field(default_factory=list)
    cleared: list[tuple[int, int]] = msgspec.field(default_factory=list)
    done: list[int] = msgspec.field(default_factory=list)
    back: list[int] = msgspec.field(default_factory=list)
    changed: list[tuple[int, int, list[int], list[int]]] = msgspec.field(default_factory=list)
    batches: list[int] = msgspec.field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)

    def add(self, other: "Settling") -> None:
        """Append what another one says."""
        for name in self.__struct_fields__:
            getattr(self, name).extend(getattr(other, name))


@dataclass(slots=True)
class _Slab:
    #: Positions as first reserved, of the messages that Redis holds now, oldest first.
    stored: list[int]
    unsettled: set[int]
    #: Of one message, on the average.
    message_bytes: int = 0
    #: On their way to their queue.
    back: set[int] = field(default_factory=set)
    #: Batches under way that name places in it: they must not move.
    running: int = 0

    def places(self, positions: Iterable[int]) -> list[int]:
        if len(self.stored) == self.stored[-1] - self.stored[0] + 1 and not self.stored[0]:
            return list(positions)
        place = {position: place for place, position in enumerate(self.stored)}
        return [place[position] for position in positions]


@dataclass(slots=True)
class Slabs:
    """The slabs of one worker."""

    unsettled: int = 0
    #: How many of them wait for locks: they do not count against the window.
    aside: int = 0
    #: What the messages of unsettled jobs come to, those aside included.
    held_bytes: int = 0
    _last: int = 0
    _open: dict[int, _Slab] = field(default_factory=dict)
    _touched: set[int] = field(default_factory=set)
    #: Number of the slab whose first message we have, and Redis not yet in it.
    _early: int | None = None

    def next_number(self) -> int:
        """Return a number that no slab of this worker ever had."""
        self._last += 1
        return self._last

    def open(self, number: int, messages: int, size_bytes: int = 0) -> None:
        """Note that a slab was reserved, with so many messages at positions from 0."""
        slab = self._open[number] = _Slab([], set())
        self._fill(slab, messages, size_bytes)

    def open_early(self, number: int, size_bytes: int = 0) -> None:
        """Note that a lone message will be the first of this slab; Redis is not told of it yet."""
        self.open(number, 1, size_bytes)
        self._early = number

    @property
    def has_early(self) -> bool:
        """Whether there is such a message."""
        return self._early is not None

    def confirm_early(self, messages: int, more_bytes: int = 0) -> None:
        """Note that the early message is in its slab, with so many messages in all."""
        if self._early is not None:
            slab, self._early = self._open[self._early], None
            self._fill(slab, messages, more_bytes)

    def disown_early(self) -> None:
        """Forget the early message: who knows where it is."""
        if self._early is not None:
            slab = self._open.pop(self._early)
            self._count(slab, -len(slab.unsettled))
            self._touched.discard(self._early)
            self._early = None

    def holds(self, job: Reserved) -> bool:
        """Whether the job is still ours to settle."""
        slab = self._open.get(job.slab)
        return slab is not None and job.position in slab.unsettled

    def numbers(self) -> set[int]:
        """Return the numbers of all open slabs."""
        return set(self._open)

    def start(self, jobs: Iterable[Reserved]) -> list[tuple[int, list[int]]]:
        """Note that a batch runs; return where its messages are, slab by slab."""
        parts = []
        for number, positions in _by_slab(jobs).items():
            slab = self._open.get(number)
            if slab is not None:
                slab.running += 1
                parts.append((number, slab.places(positions)))
        return parts

    def place(self, job: Reserved) -> tuple[int, int] | None:
        """Return slab and place where Redis holds the job's message now; None if it does not."""
        slab = self._open.get(job.slab)
        if slab is None or job.position not in slab.unsettled:
            return None
        return job.slab, slab.places([job.position])[0]

    def stop(self, jobs: Iterable[Reserved]) -> None:
        """Note that a batch came back, whatever became of it."""
        for number in _by_slab(jobs):
            slab = self._open.get(number)
            if slab is not None:
                slab.running -= 1

    def settle(self, jobs: Iterable[Reserved]) -> None:
        """Take jobs out that are over. Those that are not ours are passed over."""
        for number, positions in _by_slab(jobs).items():
            slab = self._open.get(number)
            if slab is not None:
                self._take_out(number, slab, slab.unsettled.intersection(positions))

    def give_back(self, jobs: Iterable[Reserved]) -> None:
        """Take jobs out that go back to their queues."""
        for number, positions in _by_slab(jobs).items():
            slab = self._open.get(number)
            if slab is not None:
                back = slab.unsettled.intersection(positions)
                slab.back |= back
                self._take_out(number, slab, back)

    def settling(self) -> Settling:
        """Return what Redis has to be told of all that was taken out since the last time."""
        settling = Settling()
        touched, self._touched = self._touched, set()
        if self._early in touched:
            touched.discard(self._early)
            self._touched.add(self._early)
        for number in sorted(touched & self._open.keys()):
            slab = self._open[number]
            if not slab.unsettled and not (slab.back and slab.running):
                del self._open[number]
            if not slab.unsettled and not slab.back:
                settling.done.append(number)
            elif slab.running:
                # Places in it are named elsewhere until the batch is back.
                self._touched.add(number)
            elif slab.back or 2 * len(slab.unsettled) <= len(slab.stored):
                settling.changed.append(_rewrite(number, slab))
        return settling

    def close(self) -> Settling:
        """Give up everything; return what makes Redis hold the unsettled messages alone."""
        for slab in self._open.values():
            slab.running = 0
        settling = self.settling()
        for number, slab in self._open.items():
            if number != self._early and len(slab.unsettled) < len(slab.stored):
                settling.changed.append(_rewrite(number, slab))
        self.forget()
        return settling

    def forget(self) -> None:
        """Forget everything: another worker has it now."""
        self._open.clear()
        self._touched.clear()
        self._early = None
        self.unsettled = self.aside = self.held_bytes = 0

    def _take_out(self, number: int, slab: _Slab, positions: set[int]) -> None:
        slab.unsettled -= positions
        self._count(slab, -len(positions))
        self._touched.add(number)

    def _fill(self, slab: _Slab, messages: int, more_bytes: int) -> None:
        """Put messages behind those that a slab has, up to so many."""
        had_bytes, had = len(slab.stored) * slab.message_bytes, len(slab.unsettled)
        self._count(slab, -had)
        slab.message_bytes = (had_bytes + more_bytes) // messages
        slab.unsettled.update(range(len(slab.stored), messages))
        slab.stored.extend(range(len(slab.stored), messages))
        self._count(slab, len(slab.unsettled))

    def _count(self, slab: _Slab, messages: int) -> None:
        self.unsettled += messages
        self.held_bytes += messages * slab.message_bytes


def _rewrite(number: int, slab: _Slab) -> tuple[int, int, list[int], list[int]]:
    kept, back = sorted(slab.unsettled), sorted(slab.back)
    change = (number, len(slab.stored), slab.places(kept), slab.places(back))
    slab.stored = kept
    slab.back.clear()
    return change


def _by_slab(jobs: Iterable[Reserved]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for job in jobs:
        found[job.slab].append(job.position)
    return found
