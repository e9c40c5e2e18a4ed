"""The report kind: a declared question, answered from one snapshot, into one file.

The file becomes visible whole; the row of its run, committed with the job, is
what says that it counts. Small reports are answered together, others alone.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import monotonic
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec

from celeriac import contract
from celeriac.contract import State
from postgres import Cursor
from tasks.kind import BadPayload, Job, Kind, Limits, Outcome, Preview, Tools
from tasks.long_kind import NotNow, Steps
from tasks.reports.after import check_after, not_yet
from tasks.reports.alone import goes_alone
from tasks.reports.asked import Asked, gather, key_of
from tasks.reports.company import Company
from tasks.reports.declared.catalog import DeclaredReport, load_reports
from tasks.reports.earlier import answers_at_hand
from tasks.reports.long_run import LongRun
from tasks.reports.losses import Losses
from tasks.reports.request import Request, request_of
from tasks.reports.values import BadValue

#: Longer than any name that a catalog may declare.
_SUBJECT_CHARACTERS = 100

#: Small reports that are answered together.
_MOST_JOBS = 64
#: Questions that took long in this process, the last ones.
_MOST_SLOW = 1_000
#: Parameters of so many characters may be kept; whoever brings more has them read several times.
_MOST_CHARACTERS = 10_000
_DAY_SECONDS = 86_400.0


class ReportPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a report; an equal one that is younger than ``fresh_for`` seconds will do.

    ``after`` is the id of a job, or a position in PostgreSQL's log, whose
    commit the answer has to show; ``tick`` that of a schedule.
    """

    name: str
    params: dict[str, Any] = {}
    format: str | None = None
    fresh_for: float | None = None
    after: str | None = None
    tick: datetime | None = None


class Report(Kind[ReportPayload]):
    """Run the reports of the catalog: small ones together, those that take long alone."""

    name = contract.REPORT
    queue = contract.QUEUES[contract.REPORT]
    payload = ReportPayload
    # How long one may take is a setting's to say.
    limits = Limits(_MOST_JOBS, _MOST_JOBS, contract.MAX_BODY_BYTES, _DAY_SECONDS)
    hears: ClassVar[bool] = True

    _tools: Tools
    _reports: Mapping[str, DeclaredReport] = MappingProxyType({})

    def __init__(self) -> None:
        self._slow: OrderedDict[str, None] = OrderedDict()
        self._losses = Losses()
        #: By the payload's identity, which is kept beside: each is looked at several times.
        self._requests: dict[int, tuple[ReportPayload, Request]] = {}

    def open(self, tools: Tools) -> None:
        """Read the catalog's reports; a mistake in one of them stops the process here."""
        self._tools = tools
        self._reports = load_reports(tools.catalog, tools.report_seconds)
        self._requests.clear()
        self._slow.clear()

    def subject(self, payload: ReportPayload) -> str:
        """Name the report."""
        return payload.name

    def check(self, payload: ReportPayload) -> None:
        """Refuse what the catalog does not offer."""
        self._request(payload)
        age = payload.fresh_for
        if age is not None and not 0 <= age < math.inf:
            raise BadPayload(f"fresh_for must be a number of seconds from 0 on, got {age!r}")
        check_after(payload.after)

    def takes_long(self, payload: ReportPayload) -> bool:
        """Whether it is in Python; of others company knows, which also knows what is answered."""
        return self._request(payload).report.is_python

    def run(self, jobs: Sequence[Job[ReportPayload]], cursor: Cursor) -> list[Outcome]:
        """Answer the jobs from one snapshot, equal ones once, as far as a short time goes."""
        outcomes, asking = [], []
        waiting = not_yet(jobs, self._patience(jobs), self._tools)
        for job in jobs:
            request = self._request(job.payload)
            outcome = waiting.get(job.id) or self._unwanted(job)
            if outcome is None:
                asking.append((job, request, job.payload.tick))
            else:
                outcomes.append(outcome)
        self._requests.clear()
        left = []
        for asked in gather(asking):
            is_slow = self._is_slow(asked.request)
            ages = {job.id: _fresh_for(job, asked.request, is_slow=is_slow) for job in asked.jobs}
            found = answers_at_hand(asked, ages, cursor)
            outcomes += found
            for others in asked.without({one.job_id for one in found}):
                if is_slow:
                    outcomes += goes_alone(others)
                else:
                    left.append(others)
        return outcomes + Company(self._tools, self._note_slow).run(left, cursor)

    def run_long(self, job: Job[ReportPayload], steps: Steps) -> Outcome:
        """Answer one job, however long that takes."""
        request, began_at = self._request(job.payload), monotonic()
        self._requests.clear()
        waiting = not_yet([job], self._patience([job]), self._tools).get(job.id)
        if waiting is not None:
            if waiting.state is State.QUEUED:
                raise NotNow(waiting.error)
            return waiting
        words = self._losses.verdict(job.id)
        if words is not None:
            self._losses.forget(job.id)
            return Outcome(job.id, State.DEAD, error=f"report {request.report.name}: {words}")
        asked = Asked(request, [job], job.payload.tick)
        fresh_for = _fresh_for(job, request, is_slow=True)
        outcome = LongRun(asked, steps, self._tools, fresh_for, self._losses.note).run()
        self._losses.forget(job.id)
        if monotonic() - began_at < self._tools.company_seconds:
            self._slow.pop(key_of(request, None), None)
        return outcome

    def preview(self, arguments: Mapping[str, Any]) -> Preview:
        """Name the report that is asked for, if it is named at all."""
        name = arguments.get("name")
        subject = name[:_SUBJECT_CHARACTERS] if isinstance(name, str) else ""
        return Preview(subject=subject, rows=1, text=f"report {subject}".strip())

    def _request(self, payload: ReportPayload) -> Request:
        known = self._requests.get(id(payload))
        if known is not None:
            return known[1]
        try:
            request = request_of(self._reports, payload.name, payload.params, payload.format)
        except BadValue as error:
            raise BadPayload(str(error)) from error
        if len(self._requests) > 2 * _MOST_JOBS:
            self._requests.clear()
        if request.question.characters <= _MOST_CHARACTERS:
            self._requests[id(payload)] = payload, request
        return request

    def _unwanted(self, job: Job[ReportPayload]) -> Outcome | None:
        if self._tools.is_unwanted(job.id):
            return Outcome(job.id, State.CANCELLED, error="revoked")
        return None

    def _patience(self, jobs: Sequence[Job[ReportPayload]]) -> dict[str, float]:
        """Return for how long each may wait for what it is to show."""
        most = self._tools.report_seconds
        return {
            job.id: self._request(job.payload).report.header.timeout_seconds or most
            for job in jobs
            if job.payload.after is not None
        }

    def _is_slow(self, request: Request) -> bool:
        """Whether the question was cut off in this process before."""
        return bool(self._slow) and key_of(request, None) in self._slow

    def _note_slow(self, asked: Asked) -> None:
        self._slow[key_of(asked.request, None)] = None
        while len(self._slow) > _MOST_SLOW:
            self._slow.popitem(last=False)


def _fresh_for(job: Job[ReportPayload], request: Request, *, is_slow: bool) -> float | None:
    """Return how old another run's answer may be for this job; None if none will do."""
    payload = job.payload
    if payload.after is not None or payload.tick is not None:
        return None
    asked = payload.fresh_for
    if asked is None:
        asked = request.report.header.fresh_seconds
    # A quick one that only waited for a child is sooner answered anew than looked for.
    if not job.aside_seconds or not (is_slow or job.waited_seconds):
        return asked or None
    # Whatever began since it came shows no less than a run of its own would have.
    return max(asked or 0.0, job.aside_seconds)


REPORT_KIND = Report()
