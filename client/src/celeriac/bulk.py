"""Send rows without end as jobs, a push at a time, in bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from celeriac.cut import Cut
from celeriac.errors import BadPayload, BrokerUnavailable, BulkUnfinished, QueueFull
from celeriac.jobs import Job
from celeriac.message import Form, new_id, now_text, write_body
from celeriac.payload import check_body, check_id
from celeriac.queues import Pushed, Room, push
from celeriac.rows import each_row, flat
from celeriac.steps import Pause, Plan, Take
from celeriac.urls import Address

#: A push is at most so many messages, or the one that passes so many bytes.
PUSHED_MESSAGES: Final = 250
PUSHED_BYTES: Final = 1024 * 1024
#: Rows that are fetched and written before others may run: some milliseconds.
TAKEN_ROWS: Final = 250


@dataclass(slots=True)
class Summary:
    """What was sent for certain: the number of jobs and of rows, and with ``track`` all ids."""

    jobs: int = 0
    rows: int = 0
    ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Ready:
    """Jobs that are written and wait for the next push."""

    ids: list[str] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    #: When they were enqueued; they all leave within milliseconds.
    at: str = field(default_factory=now_text)
    size_bytes: int = 0

    def is_due(self) -> bool:
        """Tell whether it is time to push."""
        return len(self.raws) >= PUSHED_MESSAGES or self.size_bytes >= PUSHED_BYTES


class Bulk:
    """One call of ``ingest_many``; with ``id_start`` its jobs are numbered after that."""

    def __init__(self, cut: Cut, form: Form, id_start: str | None, *, keeps_ids: bool) -> None:
        self._cut = cut
        self._form = form
        self._id_start = id_start
        self._keeps_ids = keeps_ids
        self._summary = Summary()
        self._ready = Ready()

    def send(self, source: Any, server: Address, key: str, room: Room | None) -> Plan[Summary]:
        """Send all rows of a source, in their order."""
        rows = as_source(source)
        try:
            while items := (yield Take(rows, TAKEN_ROWS)):
                for row in flat(items):
                    self._write(self._cut.add(row))
                    if self._ready.is_due():
                        yield from self._push(server, key, room)
                yield Pause(0)
            self._write(self._cut.rest())
        except BadPayload as error:
            error.sent = self._summary
            raise
        if self._ready.raws:
            yield from self._push(server, key, room)
        return self._summary

    def _write(self, jobs: Sequence[Job]) -> None:
        ready = self._ready
        for job in jobs:
            number = self._summary.jobs + len(ready.ids) + 1
            job_id = numbered_id(self._id_start, number)
            body = check_body(write_body(job.arguments))
            raw = self._form.write(job_id, body, job.description, ready.at)
            ready.ids.append(job_id)
            ready.raws.append(raw)
            ready.rows.append(job.rows)
            ready.size_bytes += len(raw)

    def _push(self, server: Address, key: str, room: Room | None) -> Plan[None]:
        pushed = Pushed()
        try:
            yield from push(server, key, self._ready.raws, room, pushed)
        except BrokerUnavailable as error:
            left = self._account(pushed)
            raise self._unfinished(error, left) from error.__cause__
        except QueueFull as error:
            self._account(pushed)
            raise QueueFull(f"{error}; {self._before()}", sent=self._summary) from None
        self._account(pushed)
        self._ready = Ready()

    def _account(self, pushed: Pushed) -> list[str]:
        """Count what arrived; return the ids of the others."""
        ready, summary = self._ready, self._summary
        summary.jobs += pushed.count
        summary.rows += sum(ready.rows[: pushed.count])
        if self._keeps_ids:
            summary.ids += ready.ids[: pushed.count]
        return ready.ids[pushed.count :]

    def _unfinished(self, error: BrokerUnavailable, left: Sequence[str]) -> BulkUnfinished:
        words = f"{error}; {self._before()}"
        if not error.may_have_arrived:
            return BulkUnfinished(words, self._summary, [], left)
        words = f"{words}, {len(left)} more may have been"
        return BulkUnfinished(words, self._summary, left, [])

    def _before(self) -> str:
        return f"{self._summary.jobs} jobs with {self._summary.rows} rows were sent"


def numbered_id(start: str | None, number: int) -> str:
    """Return the id of a job among many: a new one, or the start and its number."""
    return new_id() if start is None else check_id(f"{start}:{number}")


def as_source(source: Any) -> Any:
    """Return what :class:`celeriac.steps.Take` takes from: an iterator, or an asynchronous one."""
    if hasattr(source, "__aiter__"):
        return source.__aiter__()
    rows: Iterator[Any] = each_row(source)
    return rows
