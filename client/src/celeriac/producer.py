"""What a client does, as plans: sync and asyncio clients carry out the same ones."""

import math
import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from celeriac.bulk import Bulk, Summary
from celeriac.cancel import SEARCHED_MESSAGES, Cancellation, take_out, tell_workers
from celeriac.catalog import Catalog
from celeriac.contract import CATALOG_KEY, INGEST, QUEUES, REPORT, State
from celeriac.cut import Cut
from celeriac.errors import (
    BadSetting,
    BrokerUnavailable,
    NotTracked,
    QueueFull,
    ResultsElsewhere,
    WaitTimeout,
)
from celeriac.jobs import Job
from celeriac.members import Members, Sending
from celeriac.message import Form, Message, new_id, now_text, write_body
from celeriac.options import Options, moment
from celeriac.payload import check_body, check_id, check_name
from celeriac.queues import Depth, Pushed, Room, list_of, measure, push, queue_lists
from celeriac.result import ENDED, Result, fetch_result, outcome, store_cancelled, wait_for_result
from celeriac.steps import Ask, Plan
from celeriac.urls import Address, parse_url

#: Larger messages are not kept, so that holding many tickets costs little.
KEPT_MESSAGE_BYTES: Final = 64 * 1024
_CANCELLED_WORDS: Final = "cancelled before it started"


class Sent(NamedTuple):
    """What is remembered of a message; ``raw`` is None when it was too large to keep."""

    id: str
    task: str
    key: str
    raw: bytes | None
    tracked: bool


class Producer:
    """The settings of a client and everything that it can do, without an edge."""

    def __init__(self, url: str, result_url: str | None, timeout: float, key_prefix: str) -> None:
        if not (timeout > 0 and math.isfinite(timeout)):
            raise BadSetting(f"timeout must be a number of seconds above 0, got {timeout!r}")
        self.timeout_seconds = timeout
        self.prefix = key_prefix
        self.broker = parse_url(url)
        self._results = parse_url(result_url) if result_url else None
        self._catalog = Catalog(self.broker, key_prefix + CATALOG_KEY)
        self._reply_to = str(uuid.uuid4())
        # By what their jobs have in common; a handful, however many jobs there are.
        self._forms: dict[tuple[str, str, bool, int], Form] = {}

    def send(self, made: Plan[Job], options: Options) -> Plan[Sent]:
        """Make a job, check the names that it uses against the catalog, and push it."""
        job = yield from made
        track = options.track is not False
        job_id = options.id or new_id()
        form = self._form(job.task, job.queue, options, track=track)
        raw = form.write(job_id, check_body(write_body(job.arguments)), job.description, now_text())
        for target in job.targets:
            if not self._catalog.lets_pass(target):
                yield from self._catalog.check_target(target)
        for report in job.reports:
            yield from self._catalog.check_report(report)
        key = list_of(self.prefix, job.queue, options.priority)
        try:
            yield from push(self.broker, key, [raw], self._room(options), Pushed())
        except BrokerUnavailable as error:
            raise _naming(error, job_id) from error.__cause__
        except QueueFull as error:
            raise QueueFull(f"{error}, job {job_id}", job_id) from None
        kept = raw if len(raw) <= KEPT_MESSAGE_BYTES else None
        return Sent(job_id, job.task, key, kept, track)

    def send_many(
        self, target: str, source: Any, columns: Any, rows_per_job: int, options: Options
    ) -> Plan[Summary]:
        """Send the rows of a source as jobs; keep the ids of jobs that are tracked."""
        track = options.track is True
        cut = Cut(target, columns, rows_per_job)
        bulk = Bulk(
            cut,
            self._form(INGEST, QUEUES[INGEST], options, track=track),
            options.id,
            keeps_ids=track,
        )
        yield from self._catalog.check_target(target)
        key = list_of(self.prefix, QUEUES[INGEST], options.priority)
        return (yield from bulk.send(source, self.broker, key, self._room(options)))

    def send_group(self, members: Members, then: Plan[Job]) -> Plan[str]:
        """Send the jobs of a group; return the id of what follows them."""
        following = yield from then
        sending = Sending(members, members.close(following))
        used = [*members.jobs.values(), following]
        for target in dict.fromkeys(name for job in used for name in job.targets):
            yield from self._catalog.check_target(target)
        for report in (asked for job in used for asked in job.reports):
            yield from self._catalog.check_report(report)
        options = members.options
        for task, jobs in members.by_task().items():
            form = self._form(task, QUEUES[task], options, track=members.track)
            key = list_of(self.prefix, QUEUES[task], options.priority)
            yield from sending.push(jobs, form, self.broker, key, self._room(options))
        return members.following

    def depth(self, queue: str) -> Plan[Depth]:
        """Tell what waits in a queue."""
        return (yield from measure(self.broker, self.prefix, check_name("queue", queue)))

    def state(self, job_id: str, sent: Sent | None) -> Plan[State]:
        """Say what Redis knows of a job."""
        # First the queue, then the result: a job that ends in between is seen.
        queued = yield from self._is_queued(sent)
        state = (yield from self._fetch(job_id)).state
        return State.QUEUED if queued and state is State.UNKNOWN else state

    def wait(self, job_id: str, sent: Sent | None, seconds: float) -> Plan[dict[str, Any]]:
        """Return a job's result once it committed, or raise what became of it."""
        if sent is not None and not sent.tracked:
            raise NotTracked(f"no result comes for a job sent with track=False, job {job_id}")
        server = yield from self._result_server()
        result = yield from wait_for_result(server, job_id, seconds, self.timeout_seconds)
        found = outcome(result, job_id)
        if result.state in ENDED:
            return found  # type: ignore[return-value]  # committed: the others were raised
        raise WaitTimeout(f"no end within {seconds:g} s, last seen {result.state}, job {job_id}")

    def result(self, job_id: str) -> Plan[dict[str, Any] | None]:
        """Return a job's result if it has ended, or raise what became of it."""
        return outcome((yield from self._fetch(job_id)), job_id)

    def progress(self, job_id: str) -> Plan[dict[str, Any] | None]:
        """Return how far a job is."""
        result = yield from self._fetch(job_id)
        is_told = result.state is State.WORKING and isinstance(result.value, Mapping)
        return dict(result.value) if is_told else None

    def cancel(self, job_id: str, sent: Sent | None) -> Plan[Cancellation]:
        """Cancel a job: take it out of its queue, or ask the workers."""
        check_id(job_id)
        results = yield from self._results_if_known()
        ended = yield from self._ended(results, job_id)
        if ended is not None:
            return ended
        lists = [sent.key] if sent else [k for q in QUEUES.values() for k in self._lists(q)]
        raw = sent.raw if sent else None
        taken = yield from take_out(self.broker, self.prefix, job_id, lists, raw)
        # A second message with the same id may be with a worker, so they are told in any case.
        is_report = sent is not None and sent.task == REPORT
        heard = yield from tell_workers(self.broker, self.prefix, job_id, stop_running=is_report)
        if taken.is_taken:
            if taken.wants_result and results is not None:
                yield from store_cancelled(results, job_id, _CANCELLED_WORDS)
            return Cancellation.CANCELLED
        ended = yield from self._ended(results, job_id)
        return ended or (Cancellation.ASKED if heard else Cancellation.UNKNOWN)

    def _room(self, options: Options) -> Room | None:
        if options.max_depth is None:
            return None
        seconds = options.deadline or self.timeout_seconds
        return Room(options.max_depth, options.when_full, seconds)

    def _form(self, task: str, queue: str, options: Options, *, track: bool) -> Form:
        if options.run_at is not None or options.expires is not None:
            return Form(self._example(task, queue, options, track=track))
        common = task, queue, track, options.priority
        form = self._forms.get(common)
        if form is None:
            form = self._forms[common] = Form(self._example(task, queue, options, track=track))
        return form

    def _example(self, task: str, queue: str, options: Options, *, track: bool) -> Message:
        return Message(
            id="",
            task=task,
            queue=queue,
            body="",
            description="",
            track=track,
            reply_to=self._reply_to,
            priority=options.priority,
            eta=moment("run_at", options.run_at),
            expires=moment("expires", options.expires),
            enqueued_at="",
        )

    def _lists(self, queue: str) -> list[str]:
        return queue_lists(self.prefix, queue)

    def _is_queued(self, sent: Sent | None) -> Plan[bool]:
        if sent is None or sent.raw is None:
            return False
        command = ("LPOS", sent.key, sent.raw, "MAXLEN", SEARCHED_MESSAGES)
        return (yield Ask(self.broker, command, f"LPOS {sent.key}")) is not None

    def _fetch(self, job_id: str) -> Plan[Result]:
        server = yield from self._result_server()
        return (yield from fetch_result(server, job_id))

    def _ended(self, results: Address | None, job_id: str) -> Plan[Cancellation | None]:
        if results is None:
            return None
        state = (yield from fetch_result(results, job_id)).state
        return Cancellation(state.value) if state in ENDED else None

    def _results_if_known(self) -> Plan[Address | None]:
        try:
            return (yield from self._result_server())
        except ResultsElsewhere:
            return None

    def _result_server(self) -> Plan[Address]:
        """Find where results are: as told, as workers published, else beside the queues."""
        if self._results is not None:
            return self._results
        published = yield from self._catalog.published()
        if published is None:
            return self.broker
        if published.result_db is None:
            raise ResultsElsewhere("workers keep results on another server, pass its result_url")
        return self.broker.with_database(published.result_db)


def _naming(error: BrokerUnavailable, job_id: str) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"{error}, job {job_id}",
        job_id,
        may_have_arrived=error.may_have_arrived,
        refused=error.refused,
    )
