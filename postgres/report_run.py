"""Remember the reports that ran: what was asked, what came out, of which instant."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement


@dataclass(frozen=True, slots=True)
class Question:
    """What a report was asked: two equal questions at one instant have one answer."""

    report: str
    #: The parameters as PostgreSQL reads them.
    params: Mapping[str, str | None]
    format: str


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One answer: where it lies, what it holds, and the instant that it shows."""

    url: str
    rows: int
    bytes: int
    sha256: str
    snapshot: str
    started_at: datetime


def record_run(cursor: Cursor, job_id: str, question: Question, run: ReportRun) -> None:
    """Record the run in the transaction of its job; its commit is what makes the file count."""
    with refusals(Phase.RECORD):
        cursor.execute(
            statement("record_report_run"),
            {
                "job_id": job_id,
                **_facts(question),
                "url": run.url,
                "rows": run.rows,
                "bytes": run.bytes,
                "sha256": run.sha256,
                "snapshot": run.snapshot,
                "started_at": run.started_at,
            },
        )


def find_run(cursor: Cursor, question: Question, fresh_for_seconds: float) -> ReportRun | None:
    """Return the newest answer to the question that is fresh enough, if there is one."""
    with refusals(Phase.RECORD):
        cursor.execute(
            statement("find_report_run"),
            {**_facts(question), "fresh_for_seconds": fresh_for_seconds},
        )
        row = cursor.fetchone()
    return ReportRun(*row) if row else None


def _facts(question: Question) -> dict[str, str]:
    return {
        "report": question.report,
        "params": json.dumps(dict(question.params)),
        "format": question.format,
    }
