"""Describe an artifact for whoever finds it: what was asked, of which instant, what it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from postgres import Cursor
from postgres.report_run import Recorded, ReportRun
from postgres.snapshot import Instant
from postgres.type_names import type_names
from tasks.reports.answer import Written
from tasks.reports.request import Request

_DISTRIBUTION = "celeriac"


@dataclass(frozen=True, slots=True)
class Contents:
    """What was written of a report, and of which instant."""

    instant: Instant
    written: Sequence[Written]
    #: Of each section, the names of its columns' types.
    types: Sequence[Sequence[str]]

    @property
    def rows(self) -> int:
        """Count the rows of all sections."""
        return sum(one.rows for one in self.written)

    @property
    def sections(self) -> list[dict[str, Any]]:
        """Name the sections and count their rows."""
        return [{"name": one.name, "rows": one.rows} for one in self.written]


def contents_of(instant: Instant, written: Sequence[Written], reader: Cursor) -> Contents:
    """Look up what the columns' types are called; the reader's snapshot is still open."""
    names = iter(type_names([column for one in written for column in one.columns], reader))
    types = [[next(names) for _ in one.columns] for one in written]
    return Contents(instant, written, types)


def manifest(
    job_id: str, request: Request, contents: Contents, run: ReportRun, recorded: Recorded
) -> dict[str, Any]:
    """Return what lies beside the artifact, as JSON."""
    question = request.question
    return {
        "report": question.report,
        "title": request.report.header.title,
        "params": dict(question.params),
        "format": question.format,
        "job": job_id,
        "tick": _iso(run.tick),
        "url": run.url,
        "rows": run.rows,
        "bytes": run.bytes,
        "sha256": run.sha256,
        "sections": [
            {"name": one.name, "rows": one.rows, "columns": _columns(one, types)}
            for one, types in zip(contents.written, contents.types, strict=True)
        ],
        "snapshot": run.snapshot,
        "lsn": run.lsn,
        "taken_at": _iso(run.started_at),
        "duration_seconds": round(recorded.duration_seconds, 3),
        "ledger": recorded.ledger,
        "celeriac": _version(),
    }


def _columns(written: Written, types: Sequence[str]) -> list[dict[str, str]]:
    pairs = zip(written.columns, types, strict=True)
    return [{"name": column.name, "type": type_} for column, type_ in pairs]


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


@cache
def _version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
