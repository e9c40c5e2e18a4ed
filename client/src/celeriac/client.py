"""The client for threads: one object for a whole process, connected when first used."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from celeriac.blocking import Edge
from celeriac.bulk import Summary
from celeriac.cancel import Cancellation
from celeriac.contract import INGEST, QUEUES
from celeriac.group import Group
from celeriac.jobs import Job, file_job, ingest_job, own_job, report_job
from celeriac.members import Members
from celeriac.options import Options
from celeriac.payload import HasId, check_id
from celeriac.producer import Producer, Sent
from celeriac.queues import Depth
from celeriac.steps import Plan
from celeriac.ticket import Ticket

if TYPE_CHECKING:
    from typing import Unpack

    from celeriac.options import Given

Answer = TypeVar("Answer")


class Client:
    """Enqueue jobs and follow them; safe for threads, and after a fork.

    ``result_url`` may be left out where workers keep results on the broker's
    own server. Every call ends within ``timeout`` seconds, broker up or not;
    only :meth:`Ticket.wait` and :meth:`ingest_many` take longer. ``key_prefix``
    is the deployment's ``global_keyprefix``. Raises :class:`BadSetting`.

    Every call may raise :class:`BrokerUnavailable`; those that enqueue raise
    :class:`BadPayload` before anything is sent, and :class:`QueueFull` if
    ``max_depth`` is given. Their options are those of
    :class:`celeriac.options.Given`.
    """

    def __init__(
        self,
        url: str,
        result_url: str | None = None,
        *,
        timeout: float = 2.0,
        key_prefix: str = "",
    ) -> None:
        self._producer = Producer(url, result_url, timeout, key_prefix)
        self._edge = Edge(timeout)

    def ingest(
        self,
        target: str | Mapping[str, Any],
        row_or_rows: Any = (),
        *,
        columns: Sequence[str] | None = None,
        **options: "Unpack[Given]",
    ) -> Ticket:
        """Enqueue rows for a target as one atomic job: 1 to 10,000 of them.

        A row is a mapping, a dataclass, a named tuple, a record of a database
        driver, or with ``columns`` a sequence of values; a pandas frame brings
        its rows. For several targets in one job pass an object from names to
        rows and nothing else: all of it is committed, or none.
        """
        made = ingest_job(target, row_or_rows, columns)
        return self._enqueue(made, Options(**options))

    def ingest_many(
        self,
        target: str,
        rows: Any,
        *,
        rows_per_job: int = 1000,
        columns: Sequence[str] | None = None,
        **options: "Unpack[Given]",
    ) -> Summary:
        """Enqueue any number of rows, or frames, as jobs of ``rows_per_job``; say what was sent.

        Rows are fetched as they are needed, sent in their order, and a job is
        cut earlier where it would grow too large. With an ``id`` the jobs are
        ``id:1``, ``id:2`` …, so that the same call again has its effects once.
        Results are written only with ``track=True``; then the summary holds
        all ids. ``deadline`` bounds each push, not the whole.

        Raises :class:`BulkUnfinished` when the broker is lost. That, and
        :class:`BadPayload` or :class:`QueueFull` in the middle, say in
        ``sent`` what had been sent for certain.
        """
        checked = Options(**options)
        plan = self._producer.send_many(target, rows, columns, rows_per_job, checked)
        return self._edge.run(plan, checked.deadline, is_bounded=False)

    def ingest_file(
        self,
        target: str,
        url: str,
        format: str | None = None,
        file_options: Mapping[str, Any] | None = None,
        **options: "Unpack[Given]",
    ) -> Ticket:
        """Enqueue a file that workers can reach; they know its usual format."""
        made = file_job(target, url, format, file_options)
        return self._enqueue(made, Options(**options))

    def report(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,
        fresh_for: float | None = None,
        after: "str | HasId | None" = None,
        **options: "Unpack[Given]",
    ) -> Ticket:
        """Enqueue a report; the worker knows its parameters and its usual format.

        An answer to the same question that is at most ``fresh_for`` seconds old will do.
        The report shows the commit of ``after``: a ticket or the id of a job, or a position
        of PostgreSQL's log such as ``"0/16B3748"``; it waits for that, also on a replica.
        """
        made = report_job(name, params, format, fresh_for, after)
        return self._enqueue(made, Options(**options))

    def enqueue(
        self,
        task: str,
        arguments: Mapping[str, Any],
        *,
        queue: str | None = None,
        **options: "Unpack[Given]",
    ) -> Ticket:
        """Enqueue a job of a kind of your own; its queue is called like the task, unless said.

        ``arguments`` are by name, and the worker's to check. ``cancel`` by the
        id alone does not look into queues of your own; a ticket of this call does.
        """
        return self._enqueue(own_job(task, arguments, queue), Options(**options))

    def group(self, **options: "Unpack[Given]") -> Group[Ticket]:
        """Begin a group: jobs that are sent together, and one that follows when all committed.

        The options are those of all its jobs, but ``id``, which is the
        group's: its jobs are ``id:1``, ``id:2`` …, and what follows is
        ``id:then``. Jobs write results only with ``track=True``, what
        follows does. ``deadline`` bounds each push.
        """
        return Group(Members(Options(**options)), self._gather, self._send_group)

    def ticket(self, id: str) -> Ticket:
        """Return the ticket of a job enqueued before, by anyone."""
        return Ticket(check_id(id), self._producer, self._edge)

    def cancel(self, id: str) -> Cancellation:
        """Cancel a job, whoever enqueued it, and say what came of that.

        One that waits is taken out of its queue if it is found near one of
        the queue's ends; otherwise workers are told, and none starts it any
        more for a week. What has committed stays.
        """
        return self.ticket(id).cancel()

    def depth(self, queue: str = QUEUES[INGEST]) -> Depth:
        """Tell how many jobs wait in a queue, and since when the oldest of them."""
        return self._edge.run(self._producer.depth(queue))

    def close(self) -> None:
        """Close idle connections; a later call would open them again."""
        self._edge.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _gather(self, plan: Plan[Answer]) -> Answer:
        return self._edge.run(plan, is_bounded=False)

    def _send_group(self, members: Members, then: Plan[Job]) -> Ticket:
        plan = self._producer.send_group(members, then)
        id_ = self._edge.run(plan, members.options.deadline, is_bounded=False)
        return Ticket(id_, self._producer, self._edge)

    def _enqueue(self, made: Plan[Job], options: Options) -> Ticket:
        sent: Sent = self._edge.run(self._producer.send(made, options), options.deadline)
        return Ticket(sent.id, self._producer, self._edge, sent)
