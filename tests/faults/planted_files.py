"""The worker with crash points in file jobs: ``celery -A tests.faults.planted_files worker``."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import celery.platforms

import tasks.ingest_file
import tasks.load_chunk
import tasks.long_kind
import worker.commit_long
from tests.faults.file_points import FilePoint, reach
from worker.app import app

__all__ = ["app"]


def _plant(owner: Any, name: str, *, before: FilePoint | None, after: FilePoint | None) -> None:
    planted: Callable[..., Any] = getattr(owner, name)

    @wraps(planted)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if before:
            reach(before)
        answer = planted(*args, **kwargs)
        if after:
            reach(after)
        return answer

    setattr(owner, name, wrapper)


_long, _points = worker.commit_long, FilePoint
_plant(_long, "claim_run", before=_points.DELIVERED, after=None)
_plant(_long, "begin_run", before=_points.CLAIMED, after=None)
_plant(tasks.ingest_file, "open_reader", before=None, after=_points.OPENED)
_plant(tasks.load_chunk, "copy_csv", before=None, after=_points.COPIED)
_plant(tasks.long_kind, "take_step", before=None, after=_points.STEP_TAKEN)
_plant(tasks.long_kind.Steps, "show", before=_points.STEP_COMMITTED, after=None)
_plant(_long, "end_run", before=_points.READ_TO_THE_END, after=_points.ENDED)
_plant(_long, "_end", before=None, after=_points.END_COMMITTED)

# Linux would end a child with its parent; elsewhere, and after a setuid, nobody does.
celery.platforms.set_pdeathsig = lambda _: None
