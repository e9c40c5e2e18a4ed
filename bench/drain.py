"""Drain a queue: all jobs are there at once, on top of idle workers; until the last row is seen."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.crew import Crew, working
from bench.ground import Ground
from bench.measure import peak_memory_mb, read
from bench.messages import WARM_UP
from bench.queues import Queue
from bench.servers import Place
from bench.subjects import Subject
from bench.target import Target

#: Workers that have just started have things to finish before they are idle.
IDLE_SECONDS = 0.5
#: After the last row is visible, acknowledgements are still under way.
SETTLE_SECONDS = 0.3
LEAST_JOBS_PER_SECOND = 50
PATIENCE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Drained:
    """The outcome of one drain."""

    jobs: int
    seconds: float
    cost: dict[str, float]

    @property
    def jobs_per_s(self) -> float:
        """Rate from release to the last visible row."""
        return self.jobs / self.seconds


@dataclass(frozen=True, slots=True)
class Scene:
    """Warm workers of one subject, their queue and the table that they write to."""

    crew: Crew
    queue: Queue
    target: Target


@contextmanager
def scene(
    ground: Ground, subject: Subject, place: Place, warm_up: Sequence[object]
) -> Iterator[Scene]:
    """Start the workers and have them do their first jobs."""
    # The harness goes to the servers directly, whatever way the workers take.
    url = ground.servers.postgres.url("bench")
    with working(subject, place, ground) as crew, Target(url) as target:
        queue = subject.queue(ground.servers.redis, Place(url, place.redis_path))
        queue.push(warm_up)
        target.wait_for_last(len(warm_up), crew, PATIENCE_SECONDS)
        yield Scene(crew, queue, target)


def drain(
    ground: Ground,
    subject: Subject,
    place: Place,
    messages: Sequence[object],
    *,
    rows_a_job: int = 1,
) -> Drained:
    """Run one drain and verify what it left; the jobs of the warm-up have one row each."""
    jobs = len(messages) - WARM_UP
    rows = WARM_UP + jobs * rows_a_job
    with scene(ground, subject, place, messages[:WARM_UP]) as on:
        on.queue.hold(messages[WARM_UP:])
        time.sleep(IDLE_SECONDS)
        before = read(on.crew, on.target)
        patience = PATIENCE_SECONDS + jobs / LEAST_JOBS_PER_SECOND
        began = time.monotonic()
        on.queue.release()
        seconds = on.target.wait_for_last(rows, on.crew, patience) - began
        time.sleep(SETTLE_SECONDS)
        cost = read(on.crew, on.target).per_thousand(before, jobs)
        cost["peak_memory_mb"] = peak_memory_mb(on.crew)
        on.target.verify(rows)
    return Drained(jobs, seconds, cost)
