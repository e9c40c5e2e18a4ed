"""Gather jobs while children are busy; hand them out as batches when one is free.

Pure: no clock, no connection. Jobs wait in lanes: one a task for ordinary
jobs, one for each target that was found locked, one for each suspect that has
to run alone. A batch is taken from one lane, in the order of arrival.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Weighed(Protocol):
    """A job with what counts against the bounds of a batch."""

    @property
    def lane(self) -> tuple[str, str]:
        """Task, and what keeps the job apart from the task's ordinary jobs ('' for nothing)."""

    @property
    def rows(self) -> int:
        """Rows that the job brings."""

    @property
    def size_bytes(self) -> int:
        """Bytes of its payload."""


Waiting = TypeVar("Waiting", bound=Weighed)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one batch may hold; a single job always fits."""

    jobs: int
    rows: int
    size_bytes: int


class Accumulator(Generic[Waiting]):
    """The jobs that a worker has received and not yet handed to a child."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[tuple[str, str], deque[Waiting]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def __iter__(self) -> Iterator[Waiting]:
        for jobs in self._lanes.values():
            yield from jobs

    def add(self, job: Waiting) -> None:
        """Put a job behind the others of its lane."""
        lane = self._lanes.get(job.lane)
        if lane is None:
            self._lanes[job.lane] = deque((job,))
        else:
            lane.append(job)

    def put_back(self, jobs: Iterable[Waiting]) -> None:
        """Put jobs that were taken before in front of their lanes, in their old order."""
        for job in reversed(list(jobs)):
            self._lanes.setdefault(job.lane, deque()).appendleft(job)

    def next_task(self) -> str | None:
        """Return the task whose turn it is; None if nothing waits."""
        return next(iter(self._lanes))[0] if self._lanes else None

    def next(self) -> Waiting | None:
        """Return the job that leaves next; None if nothing waits."""
        return next(iter(self._lanes.values()))[0] if self._lanes else None

    def defer(self, is_deferred: Callable[[Waiting], bool]) -> None:
        """Let the lanes whose first jobs are to wait go behind the others."""
        for _ in range(len(self._lanes)):
            lane = next(iter(self._lanes))
            if not is_deferred(self._lanes[lane][0]):
                return
            self._lanes.move_to_end(lane)

    def take(self, bounds: Bounds) -> list[Waiting]:
        """Take the next batch; lanes take turns, so none waits for ever."""
        lane, jobs = self._lanes.popitem(last=False)
        batch = [jobs.popleft()]
        rows, size = batch[0].rows, batch[0].size_bytes
        while jobs and len(batch) < bounds.jobs:
            rows += jobs[0].rows
            size += jobs[0].size_bytes
            if rows > bounds.rows or size > bounds.size_bytes:
                break
            batch.append(jobs.popleft())
        if jobs:
            self._lanes[lane] = jobs
        return batch

    def jobs_apart(self, apart: str) -> int:
        """Count the jobs that wait apart from the ordinary ones, in the lanes of this name."""
        return sum(len(jobs) for (_, kept), jobs in self._lanes.items() if kept == apart)

    def clear(self) -> int:
        """Forget everything; return how many jobs that were."""
        count = len(self)
        self._lanes.clear()
        return count
