"""The client for asyncio: one object for a whole process, connected when first used."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from celeriac.awaiting import Edge
from celeriac.bulk import Summary
from celeriac.cancel import Cancellation
from celeriac.contract import INGEST, QUEUES
from celeriac.group import AsyncGroup
from celeriac.jobs import Job, file_job, ingest_job, own_job, report_job
from celeriac.members import Members
from celeriac.options import Options
from celeriac.payload import HasId, check_id
from celeriac.producer import Producer
from celeriac.queues import Depth
from celeriac.steps import Plan
from celeriac.ticket import AsyncTicket

if TYPE_CHECKING:
    from typing import Unpack

    from celeriac.options import Given

Answer = TypeVar("Answer")


class AsyncClient:
    """The methods of :class:`celeriac.Client` as coroutines; the loop is never held up for long.

    One object serves all tasks of a loop, and may be used in one loop after
    another. Settings and errors are those of :class:`celeriac.Client`. A call
    that is cancelled may have sent its job all the same.
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

    async def ingest(
        self,
        target: str | Mapping[str, Any],
        row_or_rows: Any = (),
        *,
        columns: Sequence[str] | None = None,
        **options: "Unpack[Given]",
    ) -> AsyncTicket:
        """Enqueue rows for one target, or for several, as one atomic job."""
        made = ingest_job(target, row_or_rows, columns)
        return await self._enqueue(made, Options(**options))

    async def ingest_many(
        self,
        target: str,
        rows: Any,
        *,
        rows_per_job: int = 1000,
        columns: Sequence[str] | None = None,
        **options: "Unpack[Given]",
    ) -> Summary:
        """Enqueue any number of rows, or frames, as jobs; ``rows`` may be an async iterable."""
        checked = Options(**options)
        plan = self._producer.send_many(target, rows, columns, rows_per_job, checked)
        return await self._edge.run(plan, checked.deadline, is_bounded=False)

    async def ingest_file(
        self,
        target: str,
        url: str,
        format: str | None = None,
        file_options: Mapping[str, Any] | None = None,
        **options: "Unpack[Given]",
    ) -> AsyncTicket:
        """Enqueue a file that workers can reach; they know its usual format."""
        made = file_job(target, url, format, file_options)
        return await self._enqueue(made, Options(**options))

    async def report(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,
        fresh_for: float | None = None,
        after: "str | HasId | None" = None,
        **options: "Unpack[Given]",
    ) -> AsyncTicket:
        """Enqueue a report; the worker knows its parameters and its usual format."""
        made = report_job(name, params, format, fresh_for, after)
        return await self._enqueue(made, Options(**options))

    async def enqueue(
        self,
        task: str,
        arguments: Mapping[str, Any],
        *,
        queue: str | None = None,
        **options: "Unpack[Given]",
    ) -> AsyncTicket:
        """Enqueue a job of a kind of your own; its queue is called like the task, unless said."""
        return await self._enqueue(own_job(task, arguments, queue), Options(**options))

    def group(self, **options: "Unpack[Given]") -> AsyncGroup[AsyncTicket]:
        """Begin a group: jobs that are sent together, and one that follows when all committed."""
        return AsyncGroup(Members(Options(**options)), self._gather, self._send_group)

    def ticket(self, id: str) -> AsyncTicket:
        """Return the ticket of a job enqueued before, by anyone."""
        return AsyncTicket(check_id(id), self._producer, self._edge)

    async def cancel(self, id: str) -> Cancellation:
        """Cancel a job, whoever enqueued it, and say what came of that."""
        return await self.ticket(id).cancel()

    async def depth(self, queue: str = QUEUES[INGEST]) -> Depth:
        """Tell how many jobs wait in a queue, and since when the oldest of them."""
        return await self._edge.run(self._producer.depth(queue))

    async def close(self) -> None:
        """Close this loop's idle connections; a later call would open them again."""
        await self._edge.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _gather(self, plan: Plan[Answer]) -> Answer:
        return await self._edge.run(plan, is_bounded=False)

    async def _send_group(self, members: Members, then: Plan[Job]) -> AsyncTicket:
        plan = self._producer.send_group(members, then)
        id_ = await self._edge.run(plan, members.options.deadline, is_bounded=False)
        return AsyncTicket(id_, self._producer, self._edge)

    async def _enqueue(self, made: Plan[Job], options: Options) -> AsyncTicket:
        sent = await self._edge.run(self._producer.send(made, options), options.deadline)
        return AsyncTicket(sent.id, self._producer, self._edge, sent)
