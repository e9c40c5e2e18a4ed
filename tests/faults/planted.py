"""The worker with crash points: ``celery -A tests.faults.planted worker ...``.

The product knows nothing of them: its functions are wrapped from outside, by
name, in the main process and before it forks.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import celery.platforms

import postgres.whole
import tasks.isolate
import worker.commit
import worker.consumer
import worker.dispatch
import worker.settle
from tests.faults.crash_points import FOLDER, ORPHANS_LIVE, CrashPoints, Point
from worker.app import app

__all__ = ["app", "reach"]

_MAIN = os.getpid()
_points = CrashPoints(Path(os.environ[FOLDER]))


def reach(point: Point) -> None:
    """Die here if the test said so."""
    _points.reach(point, _MAIN)


def before(owner: Any, name: str, point: Point) -> None:
    """Put a crash point in front of a function."""
    planted: Callable[..., Any] = getattr(owner, name)

    @wraps(planted)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        reach(point)
        return planted(*args, **kwargs)

    setattr(owner, name, wrapper)


def after(owner: Any, name: str, point: Point) -> None:
    """Put a crash point behind a function that returned."""
    planted: Callable[..., Any] = getattr(owner, name)

    @wraps(planted)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        answer = planted(*args, **kwargs)
        reach(point)
        return answer

    setattr(owner, name, wrapper)


def _around_commit() -> None:
    transaction = worker.commit.transaction

    @contextmanager
    def wrapper(*args: Any) -> Iterator[Any]:
        with transaction(*args) as cursor:
            yield cursor
            reach(Point.BEFORE_COMMIT)
        reach(Point.AFTER_COMMIT)

    worker.commit.transaction = wrapper


def _watch_claims() -> None:
    claim = worker.commit.claim

    @wraps(claim)
    def wrapper(*args: Any) -> Any:
        claims = claim(*args)
        _points.note_claims((job, answer.verdict.value) for job, answer in claims.items())
        return claims

    worker.commit.claim = wrapper


def _around_single_statement() -> None:
    """Plant what the short way has of the points: claims, rows and COMMIT are one there."""
    commit_whole = postgres.whole.commit_whole

    @wraps(commit_whole)
    def wrapper(jobs: Any, *args: Any) -> None:
        reach(Point.DELIVERED)
        _points.note_claims((job, "claimed") for job in jobs.ids)
        reach(Point.BEFORE_COMMIT)
        commit_whole(jobs, *args)
        reach(Point.AFTER_COMMIT)

    postgres.whole.commit_whole = wrapper


_watch_claims()
_around_single_statement()
before(worker.commit, "claim", Point.DELIVERED)
after(worker.commit, "claim", Point.CLAIMED)
after(tasks.isolate, "insert", Point.ISOLATING)
before(worker.commit, "record", Point.ROWS_WRITTEN)
_around_commit()
before(worker.dispatch.Dispatcher, "_tick", Point.RESERVED)
before(worker.dispatch.Dispatcher, "_send", Point.GATHERED)
after(worker.dispatch.Dispatcher, "_send", Point.HANDED_OVER)
before(worker.dispatch.Dispatcher, "_answered", Point.CAME_BACK)
before(worker.settle, "store_results", Point.ANSWERED)
after(worker.settle, "store_results", Point.RESULTS_STORED)
after(worker.settle, "_announce", Point.ANNOUNCED)
after(worker.consumer.Consumer, "flush_settled", Point.ACKNOWLEDGED)

if ORPHANS_LIVE in os.environ:
    # Linux would end a child with its parent; elsewhere, and after a setuid, nobody does.
    celery.platforms.set_pdeathsig = lambda _: None
