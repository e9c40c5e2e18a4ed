"""The worker with crash points in reports: ``celery -A tests.faults.planted_reports worker``."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import celery.platforms

from tasks.reports.artifacts.growing_file import GrowingFile
from tasks.reports.artifacts.local_draft import LocalDraft
from tests.faults.file_points import reach
from tests.faults.report_points import ReportPoint
from worker.app import app

__all__ = ["app"]


def _plant(
    owner: Any, name: str, *, before: ReportPoint | None = None, after: ReportPoint | None = None
) -> None:
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


_plant(GrowingFile, "write", after=ReportPoint.MID_FETCH)
_plant(LocalDraft, "seal", after=ReportPoint.SEALED)
_plant(LocalDraft, "show", before=ReportPoint.RECORDED, after=ReportPoint.PUBLISHED)

# Linux would end a child with its parent; elsewhere, and after a setuid, nobody does.
celery.platforms.set_pdeathsig = lambda _: None
