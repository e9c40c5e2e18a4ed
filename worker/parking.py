"""Keep jobs aside that have to wait for a lock, so that the others are not held up.

Pure: the clock comes in. Jobs wait by lane: one for each locked target, one
for each job that another transaction runs just now. Should the lock still be
there when a lane is tried again, only its own jobs wait for that.
"""

from collections.abc import Iterator

from worker.waiting import Waiting

_LONGEST_PAUSE_SECONDS = 5.0


class Parking:
    """The jobs that wait for locks, by lane."""

    def __init__(self, *, most_jobs: int, most_bytes: int, patience_seconds: float) -> None:
        self._most_jobs = most_jobs
        self._most_bytes = most_bytes
        self._patience_seconds = patience_seconds
        self._parked: dict[str, list[Waiting]] = {}
        self._bytes = self._jobs = 0

    def __len__(self) -> int:
        return self._jobs

    def __bool__(self) -> bool:
        return bool(self._parked)

    def __contains__(self, lane: str) -> bool:
        return lane in self._parked

    def park(self, one: Waiting, now: float) -> None:
        """Put a job into its lane; how long it waits counts from the first time."""
        one.first_busy_at = now if one.first_busy_at is None else one.first_busy_at
        self._parked.setdefault(one.apart, []).append(one)
        self._bytes += one.size_bytes
        self._jobs += 1

    @property
    def has_room(self) -> bool:
        """Whether one more job may be parked."""
        return len(self) < self._most_jobs and self._bytes < self._most_bytes

    def all_jobs(self) -> Iterator[Waiting]:
        """Yield every parked job."""
        for jobs in self._parked.values():
            yield from jobs

    def may_wait(self, one: Waiting, now: float) -> bool:
        """Whether the job may be parked (again); otherwise it is held in PostgreSQL."""
        waited = 0.0 if one.first_busy_at is None else now - one.first_busy_at
        return self.has_room and waited < self._patience_seconds

    def jobs(self, lane: str) -> int:
        """Count the jobs of a lane."""
        return len(self._parked.get(lane, ()))

    def pause_seconds(self, lane: str, now: float, jitter: float) -> float:
        """Return how long to leave a lane alone: half as long as it has waited."""
        since = self._parked[lane][0].first_busy_at
        waited = 0.0 if since is None else now - since
        return min(_LONGEST_PAUSE_SECONDS, 0.2 + jitter * 0.2 + waited / 2)

    def leave(self, lane: str) -> list[Waiting]:
        """Return the jobs of a lane, in the order they came; they are parked no more."""
        jobs = self._parked.pop(lane, [])
        self._bytes -= sum(one.size_bytes for one in jobs)
        self._jobs -= len(jobs)
        return jobs

    def clear(self) -> int:
        """Forget everything; return how many jobs that were."""
        count = len(self)
        self._parked.clear()
        self._bytes = self._jobs = 0
        return count
