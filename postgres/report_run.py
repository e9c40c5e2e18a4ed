"""Remember the reports that ran: what was asked, what came out, of which instant.

One row a run. A job that another run answered has none: its result in the
ledger names that run's file.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement

#: As they are called in the table; the others are written as JSON.
_COLUMNS = ("url", "rows", "bytes", "sha256", "snapshot", "lsn", "tick", "started_at", "began_at")

#: A hundred years: nothing is older, and PostgreSQL can still subtract it.
_LONGEST_SECONDS = 100 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Question:
    """What a report was asked: two equal questions at one instant have one answer."""

    report: str
    #: The parameters as PostgreSQL reads them.
    params: Mapping[str, str | None]
    format: str

    @property
    def characters(self) -> int:
        """How long the parameters are, together."""
        return sum(len(text or "") for text in self.params.values())


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One answer: where it lies, what it holds, and the instant that it shows."""

    url: str
    rows: int
    bytes: int
    sha256: str
    snapshot: str
    started_at: datetime
    #: Position in the log of the server that was read: what the snapshot shows came before it.
    lsn: str | None = None
    #: Name and rows of each section, as JSON objects.
    sections: Sequence[Mapping[str, Any]] = ()
    #: The tick of the schedule that asked, if one did.
    tick: datetime | None = None
    #: By the ledger's clock, before the snapshot was taken; None for the begin of the transaction
    #: in which the run is recorded.
    began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What PostgreSQL says of a run: how long it took, and in which ledger it is recorded."""

    duration_seconds: float
    ledger: str


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run that answers a question again: whose it was, and how old its instant is now."""

    job_id: str
    age_seconds: float
    run: ReportRun


def record_runs(
    cursor: Cursor, runs: Sequence[tuple[str, Question, ReportRun]]
) -> dict[str, Recorded]:
    """Record runs in the transaction of their jobs; its commit is what makes the files count."""
    parameters: dict[str, list[Any]] = {
        name: [getattr(run, name) for _, _, run in runs] for name in _COLUMNS
    }
    facts = [_facts(question) for _, question, _ in runs]
    parameters |= {name: [one[name] for one in facts] for name in ("report", "params", "format")}
    parameters["job_id"] = [job_id for job_id, _, _ in runs]
    parameters["sections"] = [json.dumps([dict(one) for one in run.sections]) for _, _, run in runs]
    with refusals(Phase.RECORD):
        cursor.execute(statement("record_report_runs"), parameters)
        return {job_id: Recorded(seconds, ledger) for job_id, seconds, ledger in cursor.fetchall()}


def about_to_record(started_at: datetime, cursor: Cursor) -> Recorded:
    """Return what can be said of a run before it is recorded; its duration is that until now."""
    with refusals(Phase.RECORD):
        cursor.execute(statement("tell_duration"), {"started_at": started_at})
        ((seconds, ledger),) = cursor.fetchall()
    return Recorded(seconds, ledger)


def name_ledger(cursor: Cursor) -> str:
    """Return the ledger's own id, which tells its files from those of another deployment."""
    with refusals(Phase.RECORD):
        cursor.execute(statement("name_ledger"))
        ((name,),) = cursor.fetchall()
    return str(name)


def find_run(cursor: Cursor, question: Question, fresh_for_seconds: float) -> EarlierRun | None:
    """Return the newest run that answered the question and is fresh enough, if there is one.

    Its file was there when PostgreSQL was last told of it: look.
    """
    fresh_for_seconds = min(fresh_for_seconds, _LONGEST_SECONDS)
    with refusals(Phase.RECORD):
        cursor.execute(
            statement("find_report_run"),
            {**_facts(question), "fresh_for_seconds": fresh_for_seconds},
        )
        row = cursor.fetchone()
    return EarlierRun(row[0], row[1], ReportRun(*row[2:])) if row else None


def _facts(question: Question) -> dict[str, str]:
    return {
        "report": question.report,
        "params": json.dumps(dict(question.params)),
        "format": question.format,
    }
