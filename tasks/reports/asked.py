"""What a batch of jobs asks: equal questions are one, and have one answer."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from tasks.kind import Job
from tasks.reports.request import Request

_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the jobs that ask it; the file is the first one's."""

    request: Request
    jobs: list[Job[Any]] = field(default_factory=list)
    #: Of the schedule that asks; two ticks are never equal.
    tick: datetime | None = None

    @property
    def job(self) -> Job[Any]:
        """The job whose run this is."""
        return self.jobs[0]

    @property
    def ids(self) -> list[str]:
        """The ids of all its jobs."""
        return [job.id for job in self.jobs]

    def without(self, answered: Collection[str]) -> "list[Asked]":
        """Return the question of the other jobs, if there are any."""
        others = [job for job in self.jobs if job.id not in answered]
        return [Asked(self.request, others, self.tick)] if others else []

    @property
    def name(self) -> str:
        """The report's name."""
        return self.request.report.name

    @property
    def note(self) -> str:
        """Say for whom a query runs, for whoever looks at the server."""
        more = f" +{len(self.jobs) - 1}" if len(self.jobs) > 1 else ""
        return f"report={self.name} job={self.job.id}{more}"


def key_of(request: Request, tick: datetime | None) -> str:
    """Return what equal questions have in common, and others do not: short, whatever is asked."""
    question = request.question
    whole = json.dumps(
        [question.report, sorted(question.params.items()), question.format, tick and str(tick)]
    )
    return blake2b(whole.encode(), digest_size=_KEY_BYTES).hexdigest()


def gather(asking: Iterable[tuple[Job[Any], Request, datetime | None]]) -> Sequence[Asked]:
    """Put jobs with equal questions together, in the order of the first of each."""
    found: dict[str, Asked] = {}
    for job, request, tick in asking:
        found.setdefault(key_of(request, tick), Asked(request, tick=tick)).jobs.append(job)
    return list(found.values())
