"""The report kind: a declared question, answered from one snapshot, into one file.

The file becomes visible whole; the row of its run, committed with the job, is
what says that it counts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import msgspec

from celeriac import contract
from celeriac.contract import State
from postgres import Cursor
from postgres.report_run import ReportRun, find_run, record_run
from postgres.snapshot import Query, pin
from tasks.kind import BadPayload, Job, Kind, Limits, Outcome, Preview, Tools
from tasks.reports.answer import Answer, Rows
from tasks.reports.artifact import drafted, exists
from tasks.reports.catalog import DeclaredReport, load_reports
from tasks.reports.formats import writer_of
from tasks.reports.header import BadChart, Format
from tasks.reports.request import Request
from tasks.reports.values import BadValue, shown

#: Longer than any name that a catalog may declare.
_SUBJECT_CHARACTERS = 100


class ReportPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a report; an equal one that is younger than ``fresh_for`` seconds will do."""

    name: str
    params: dict[str, Any] = {}
    format: str | None = None
    fresh_for: float | None = None


class Report(Kind[ReportPayload]):
    """Run the reports of the catalog, one a batch."""

    name = contract.REPORT
    queue = contract.QUEUES[contract.REPORT]
    payload = ReportPayload
    limits = Limits(jobs=1, rows=1, body_bytes=contract.MAX_BODY_BYTES, seconds=600.0)

    _tools: Tools
    _reports: Mapping[str, DeclaredReport] = MappingProxyType({})

    def open(self, tools: Tools) -> None:
        """Read the catalog's reports; a mistake in one of them stops the process here."""
        self._tools = tools
        self._reports = load_reports(tools.catalog)

    def subject(self, payload: ReportPayload) -> str:
        """Name the report."""
        return payload.name

    def check(self, payload: ReportPayload) -> None:
        """Refuse what the catalog does not offer."""
        self._request(payload)
        age = payload.fresh_for
        if age is not None and not 0 <= age < math.inf:
            raise BadPayload(f"fresh_for must be a number of seconds from 0 on, got {age!r}")

    def run(self, jobs: Sequence[Job[ReportPayload]], cursor: Cursor) -> list[Outcome]:
        """Answer each job from a snapshot of its own, or from a run that is fresh enough."""
        return [self._answer(job, cursor) for job in jobs]

    def preview(self, arguments: Mapping[str, Any]) -> Preview:
        """Name the report that is asked for, if it is named at all."""
        name = arguments.get("name")
        subject = name[:_SUBJECT_CHARACTERS] if isinstance(name, str) else ""
        return Preview(subject=subject, rows=1, text=f"report {subject}".strip())

    def _request(self, payload: ReportPayload) -> Request:
        report = self._reports.get(payload.name)
        if report is None:
            known = ", ".join(self._reports) or "none, the catalog has no reports"
            raise BadPayload(f"name must be one of {known}, got {shown(payload.name)}")
        try:
            values = report.values(payload.params)
        except BadValue as error:
            raise BadPayload(str(error)) from error
        return Request(report, values, _format(payload.format or report.header.format))

    def _answer(self, job: Job[ReportPayload], cursor: Cursor) -> Outcome:
        request = self._request(job.payload)
        run = _fresh_run(request, job.payload.fresh_for, cursor)
        if run is not None:
            record_run(cursor, job.id, request.question, run)
            return _committed(job, request, run)
        try:
            return _committed(job, request, self._run(job.id, request, cursor))
        except BadChart as error:
            return Outcome(job.id, State.DEAD, error=f"report {request.report.name}: {error}")

    def _run(self, job_id: str, request: Request, cursor: Cursor) -> ReportRun:
        tools, question = self._tools, request.question
        with drafted(tools.artifacts, question.report, job_id, question.format) as draft:
            with tools.snapshot() as reader:
                instant = pin(reader, tools.report_seconds)
                query = Query(reader, request.report.query, request.values)
                chart = request.report.header.chart
                answer = Answer(request, instant, [Rows(request.report.name, query, chart)])
                written = writer_of(request.format)(answer, draft.file)
            draft.seal()
            rows = sum(one.rows for one in written)
            run = ReportRun(
                draft.url, rows, draft.size_bytes, draft.sha256, instant.snapshot, instant.taken_at
            )
            # Record before publishing: a run that lost its transaction while it
            # stalled fails here, and cannot replace its successor's file.
            record_run(cursor, job_id, question, run)
            draft.publish({"job": job_id, **asdict(question), **asdict(run)})
        return run


def _format(name: str) -> Format:
    try:
        return Format(name)
    except ValueError as error:
        raise BadPayload(f"format must be one of {', '.join(Format)}, got {shown(name)}") from error


def _fresh_run(request: Request, fresh_for: float | None, cursor: Cursor) -> ReportRun | None:
    """Find an answer that is young enough and still lies where it was put."""
    if fresh_for is None:
        return None
    run = find_run(cursor, request.question, fresh_for)
    return run if run is not None and exists(run.url) else None


def _committed(job: Job[ReportPayload], request: Request, run: ReportRun) -> Outcome:
    result = {
        "url": run.url,
        "rows": run.rows,
        "bytes": run.bytes,
        "sha256": run.sha256,
        "format": request.format.value,
    }
    return Outcome(job.id, State.COMMITTED, result=result)


REPORT_KIND = Report()
