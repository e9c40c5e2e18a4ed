"""What is written into the outbox, as statements with their parameters."""

import json
from collections.abc import Generator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from celeriac.bulk import Summary, numbered_id
from celeriac.contract import INGEST
from celeriac.cut import Cut
from celeriac.errors import BadPayload
from celeriac.jobs import Job
from celeriac.jsonb import jsonb_text
from celeriac.members import Members
from celeriac.message import new_id, write_body
from celeriac.options import Options, moment
from celeriac.payload import check_body
from celeriac.rows import each_row
from celeriac.shipped import shipped
from celeriac.steps import Pause, Plan, Step

Answer = TypeVar("Answer")


class Statement(NamedTuple):
    """One statement to be run, with parameters as ``:name``, all of them texts."""

    text: str
    parameters: Mapping[str, str | None]


Writing: TypeAlias = Generator[Statement | Step, Any, Answer]

_ENQUEUE: Final = shipped("enqueue.sql")
#: The usual job's: every value that PostgreSQL need not read is time of the caller's transaction.
_ENQUEUE_NOW: Final = shipped("enqueue_now.sql")
_ENQUEUE_MANY: Final = shipped("enqueue_many.sql")
#: One statement is at most so many jobs, or the one that passes so many bytes.
_JOBS_A_STATEMENT: Final = 250
_BYTES_A_STATEMENT: Final = 1024 * 1024


def enqueue(made: Plan[Job], given: Mapping[str, Any]) -> Writing[str]:
    """Write one job; return its id."""
    options = checked_options(given)
    job = yield from made
    job_id = options.id or new_id()
    kwargs = _kwargs(job)
    own = {"task": job.task, "kwargs": kwargs, "id": job_id}
    shared = _shared(job.task, options, track=options.track is not False)
    if shared["run_at"] is None and shared["options"] is None:
        yield Statement(_ENQUEUE_NOW, own)
    else:
        yield Statement(_ENQUEUE, shared | own)
    return job_id


def enqueue_many(
    target: str, source: Any, columns: Any, rows_per_job: int, given: Mapping[str, Any]
) -> Writing[Summary]:
    """Write the rows of a source as jobs, many in a statement."""
    options = checked_options(given)
    track = options.track is True
    shared = _shared(INGEST, options, track=track)
    cut, summary, waiting = Cut(target, columns, rows_per_job), Summary(), _Waiting()
    names_ids = track or options.id is not None
    for row in each_row(source):
        for job in cut.add(row):
            waiting.add(job, _id(names_ids, options.id, summary, waiting))
        if waiting.is_due():
            yield waiting.statement(shared)
            waiting = waiting.counted(summary, keeps_ids=track)
            yield Pause(0)
    for job in cut.rest():
        waiting.add(job, _id(names_ids, options.id, summary, waiting))
    if waiting.jobs:
        yield waiting.statement(shared)
        waiting.counted(summary, keeps_ids=track)
    return summary


def enqueue_group(members: Members, then: Plan[Job]) -> Writing[str]:
    """Write the jobs of a group, many in a statement; return the id of what follows them."""
    following = yield from then
    group = json.loads(jsonb_text(members.close(following)))
    for task, jobs in members.by_task().items():
        shared = _shared(task, members.options, track=members.track, group=group)
        waiting = _Waiting()
        for job_id, job in jobs.items():
            waiting.add(job, job_id)
            if waiting.is_due():
                yield waiting.statement(shared)
                waiting = _Waiting()
                yield Pause(0)
        if waiting.jobs:
            yield waiting.statement(shared)
    return members.following


def checked_options(given: Mapping[str, Any]) -> Options:
    """Return the options of a call that goes to the outbox; refuse those of a broker."""
    for name in ("deadline", "max_depth", "when_full"):
        if name in given:
            raise BadPayload(f"{name} is for a broker, the outbox has none, leave it out")
    return Options(**given)


class _Waiting:
    """Jobs of the next statement."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.ids: list[str] = []
        self.rows = 0
        self._bytes = 0

    def add(self, job: Job, job_id: str | None) -> None:
        self.jobs.append(_kwargs(job))
        self.rows += job.rows
        self._bytes += len(job.arguments)
        if job_id is not None:
            self.ids.append(job_id)

    def is_due(self) -> bool:
        return len(self.jobs) >= _JOBS_A_STATEMENT or self._bytes >= _BYTES_A_STATEMENT

    def statement(self, shared: dict[str, str | None]) -> Statement:
        ids = json.dumps(self.ids) if self.ids else None
        return Statement(_ENQUEUE_MANY, shared | {"jobs": f"[{', '.join(self.jobs)}]", "ids": ids})

    def counted(self, summary: Summary, *, keeps_ids: bool) -> "_Waiting":
        """Count what was written, and begin anew."""
        summary.jobs += len(self.jobs)
        summary.rows += self.rows
        if keeps_ids:
            summary.ids += self.ids
        return _Waiting()


def _id(names_ids: bool, start: str | None, summary: Summary, waiting: _Waiting) -> str | None:  # noqa: FBT001 - private
    number = summary.jobs + len(waiting.jobs) + 1
    # Without ids of ours PostgreSQL makes them, all in one INSERT.
    return numbered_id(start, number) if names_ids else None


def _kwargs(job: Job) -> str:
    check_body(write_body(job.arguments))
    return jsonb_text(job.arguments)


def _shared(
    task: str, options: Options, *, track: bool, group: Mapping[str, Any] | None = None
) -> dict[str, str | None]:
    chosen: dict[str, Any] = {"track": track}
    if group is not None:
        chosen["group"] = group
    if options.priority:
        chosen["priority"] = options.priority
    if options.expires is not None:
        chosen["expires"] = moment("expires", options.expires)
    return {
        "task": task,
        "run_at": moment("run_at", options.run_at),
        # No options mean the same.
        "options": None if chosen == {"track": True} else json.dumps(chosen),
    }
