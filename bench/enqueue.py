"""How fast each way of enqueueing is, and how fast what goes through the outbox is committed."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.crew import working
from bench.drain import IDLE_SECONDS
from bench.ground import TAIL_CHARACTERS, Ground, RunFailed
from bench.queues import ListQueue
from bench.servers import Place
from bench.subjects import Subject, find
from bench.subjects.celeriac import QUEUE
from bench.target import Target

#: Slow ways enqueue a part of the jobs.
SHARES = {"send_task": 0.2, "kombu_batch": 0.25, "one": 0.5}
LEAST_JOBS_PER_SECOND = 100
#: Of the caller's own commits, for each number of connections.
COMMIT_SECONDS = 5.0
PATIENCE_SECONDS = 60


def enqueue(ground: Ground, place: Place, way: str, jobs: int) -> float:
    """Enqueue in a process of its own and verify what it left; return jobs a second."""
    count, began, ended = _enqueue(ground, place, way, jobs)
    return count / (ended - began)


def outbox_to_commit(ground: Ground, subject: Subject, place: Place, jobs: int) -> float:
    """Enqueue by the outbox while relay and workers run; return jobs a second to the last row."""
    with (
        working(subject, place, ground) as crew,
        _relaying(ground, subject, place),
        Target(place.database_url) as target,
    ):
        time.sleep(IDLE_SECONDS)
        _, began, _ = _enqueue(ground, place, "outbox", jobs)
        patience = PATIENCE_SECONDS + jobs / LEAST_JOBS_PER_SECOND
        seconds = target.wait_for_last(jobs, crew, patience) - began
        target.verify(jobs)
    return jobs / seconds


def caller_commit_ratio(
    ground: Ground, place: Place, name: str, seconds: float = COMMIT_SECONDS
) -> float:
    """Return how many times longer the caller's commits take with a second statement in each.

    ``32`` is one enqueue on so many connections, ``joined_32`` the same in one round trip with the
    application's INSERT, ``insert_32`` a plain INSERT in its place.
    """
    way, _, connections = name.rpartition("_")
    arguments = (way or "enqueue", place.database_url, connections, str(seconds))
    printed = ground.ask(find("floor"), place, ("-m", "bench.caller_commits", *arguments))
    without, with_one = map(float, printed.split())
    return without / with_one


def _enqueue(ground: Ground, place: Place, way: str, jobs: int) -> tuple[int, float, float]:
    """Return how many jobs, and from when to when, by the clock of the whole machine."""
    count = max(1, int(jobs * SHARES.get(way, 1.0)))
    arguments = (place.redis_url(), place.database_url, str(count))
    printed = ground.ask(find("floor"), place, ("-m", "bench.enqueuers", way, *arguments))
    seconds, ended = map(float, printed.split())
    _verify(ground, place, way, count)
    return count, ended - seconds, ended


def _verify(ground: Ground, place: Place, way: str, count: int) -> None:
    if way == "outbox":
        # Committed or still to come: a relay may be at work on them.
        with Target(place.database_url) as target:
            there = target.ask("SELECT count(*) FROM celeriac.outbox")
            there += target.ask("SELECT count(*) FROM celeriac.job")
        if not there:
            raise RunFailed("the outbox is empty, and nothing was committed")
        return
    # The first job of some ways is a warm-up.
    there = len(ListQueue(ground.servers.redis, QUEUE).take())
    if there not in (count, count + 1):
        raise RunFailed(f"{way} left {there} messages, not {count}")


@contextmanager
def _relaying(ground: Ground, subject: Subject, place: Place) -> Iterator[None]:
    log = ground.folder / "relay.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", "relay"],
            cwd=ground.cwd(subject),
            env=ground.env(subject, place),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
            if process.poll() is not None:
                raise RunFailed(f"the relay ended:\n{log.read_text()[-TAIL_CHARACTERS:]}")
        finally:
            process.kill()
            process.wait()
