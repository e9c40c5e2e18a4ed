"""Many small reports that all wait at once: by our worker, and by stock Celery a task each."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from celery import Celery
from redis import Redis

from bench.crew import Crew, working
from bench.drain import IDLE_SECONDS
from bench.ground import Ground, RunFailed
from bench.queues import ListQueue
from bench.report_place import (
    CATALOG,
    MONTH_ROWS,
    QUEUE,
    REPORT,
    flights_url,
    reporter,
    sender,
)
from bench.subjects.subject import Home, Subject

CHILDREN = 2
WARM_UP = 20
_PEER_QUEUE = "bench"
#: Celery's own name for the key of a result.
_RESULTS = b"celery-task-meta-*"
_POLL_SECONDS = 0.01
_PATIENCE_SECONDS = 120.0


def per_second(ground: Ground, name: str, jobs: int) -> float:
    """Return the rate from the moment all jobs are in the queue to the last result."""
    folder = ground.folder / "artifacts"
    folder.mkdir()
    url = flights_url(ground, MONTH_ROWS)
    try:
        if name == "celery":
            return _drain(ground, _stock(url, folder), _PEER_QUEUE, jobs)
        return _drain(ground, reporter(url, folder, CHILDREN), QUEUE, jobs)
    finally:
        shutil.rmtree(folder)


def _drain(ground: Ground, subject: Subject, key: str, jobs: int) -> float:
    place = ground.servers.fresh()
    redis = ground.servers.redis
    queue = ListQueue(redis, key)
    with sender(place) as app:
        for number in range(WARM_UP + jobs):
            _send(app, key, 1 + number * 50)
        messages = queue.take()
    with working(subject, place, ground) as crew:
        queue.push(messages[:WARM_UP])
        _wait(ground, WARM_UP, crew)
        queue.hold(messages[WARM_UP:])
        time.sleep(IDLE_SECONDS)
        began = time.monotonic()
        queue.release()
        _wait(ground, WARM_UP + jobs, crew)
        seconds = time.monotonic() - began
        _verify(crew, ground.folder / "artifacts", WARM_UP + jobs)
    return jobs / seconds


def _send(app: Celery, key: str, first: int) -> None:
    """Ask for one report; no two are equal."""
    first = first % (MONTH_ROWS - 300)
    if key == QUEUE:
        app.send_task(REPORT, kwargs={"name": "delays", "params": {"first": first}}, queue=key)
        return
    text = (CATALOG / "reports" / "delays.sql").read_text(encoding="utf-8")
    query = text.partition("*/")[2].replace(":first", str(first))
    app.send_task("bench.make_report", kwargs={"query": query}, queue=key)


def _wait(ground: Ground, jobs: int, crew: Crew) -> None:
    """Wait for so many results, which are stored after the work of a job."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with Redis(unix_socket_path=str(ground.servers.valkey.socket), db=1) as results:
        # To list them all costs the more the more there are, and the workers a share of Redis.
        while results.dbsize() < jobs or len(results.keys(_RESULTS)) < jobs:
            crew.check(deadline, f"to make {jobs} reports")
            time.sleep(_POLL_SECONDS)


def _verify(crew: Crew, folder: Path, jobs: int) -> None:
    found: Sequence[Path] = [path for path in folder.rglob("*.csv") if path.stat().st_size]
    if len(found) != jobs:
        raise RunFailed(f"{len(found)} files instead of {jobs}:\n{crew.tail()}")


def _stock(url: str, artifacts: Path) -> Subject:
    worker = ("-m", "celery", "-A", "bench.peers.celery_reports", "worker", "-Q", _PEER_QUEUE)
    options = ("--without-gossip", "--without-mingle", "--loglevel", "WARNING")
    return Subject(
        name="celery_report",
        processes=((*worker, "-c", str(CHILDREN), *options),),
        producer=lambda _place, _count: (),
        queue=lambda redis, _: ListQueue(redis, _PEER_QUEUE),
        env=lambda place: {
            "BENCH_BROKER_URL": place.celery_url(0),
            "BENCH_RESULT_URL": place.celery_url(1),
            "BENCH_DATABASE_URL": url,
            "BENCH_ARTIFACTS": str(artifacts),
        },
        ready="takes jobs",
        home=Home.PEERS,
    )
