"""Celeriac as people run it: W worker commands with C children each, jobs from stock Celery."""

import re
from collections.abc import Mapping
from functools import partial

from redis import Redis

from bench.queues import ListQueue, Queue
from bench.servers import Place
from bench.subjects.subject import ROOT, Home, Subject

QUEUE = "celeriac.ingest"
CATALOG = ROOT / "bench" / "catalog"
_NAME = re.compile(r"celeriac(?:_(\d+)w(\d+)c)?(_uuid7)?(_results)?(_noevents)?")


def celeriac(name: str) -> Subject | None:
    """Return the subject of a name such as ``celeriac_2w1c_uuid7``; None for other names.

    A name that counts nothing means what the settings do: one worker with two children.
    """
    found = _NAME.fullmatch(name)
    if not found:
        return None
    workers, children = int(found[1] or 1), int(found[2] or 2)
    ids = "uuid7" if found[3] else "uuid4"
    results = "results" if found[4] else "ignore"
    return Subject(
        name=name,
        processes=tuple(_command(number, children) for number in range(workers)),
        producer=partial(produce, ids, results),
        queue=ingest_queue,
        env=partial(_env, children, 0 if found[5] else None),
        ready=" ready.",
        home=Home.PRODUCT,
        messages=f"celeriac {ids} {results}",
    )


def produce(ids: str, results: str, place: Place, count: int) -> tuple[str, ...]:
    """Return how stock Celery is asked to write the messages."""
    return ("-m", "bench.produce", place.celery_url(), str(count), ids, results)


def ingest_queue(redis: Redis, place: Place) -> Queue:  # noqa: ARG001 - all queues are asked so
    """Return the queue that the jobs wait in."""
    return ListQueue(redis, QUEUE)


def _command(number: int, children: int) -> tuple[str, ...]:
    name = f"bench-{number}@localhost"
    worker = ("-m", "celery", "-A", "worker.app", "worker", "-Q", QUEUE)
    return (*worker, "-c", str(children), "-n", name, "--loglevel", "INFO")


def _env(children: int, events: int | None, place: Place) -> Mapping[str, str]:
    capped = {} if events is None else {"CELERIAC_EVENTS_PER_SECOND": str(events)}
    return capped | {
        "CELERIAC_BROKER_URL": place.celery_url(0),
        "CELERIAC_RESULT_URL": place.celery_url(1),
        "CELERIAC_DATABASE_URL": place.database_url,
        "CELERIAC_CATALOG": str(CATALOG),
        "CELERIAC_CONCURRENCY": str(children),
    }
