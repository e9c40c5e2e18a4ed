"""Enqueue in the caller's own transaction: sent if and only if it commits."""

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from celeriac.bulk import Summary
from celeriac.drivers import execute, execute_async, is_asynchronous
from celeriac.entries import Statement, checked_options, enqueue, enqueue_group, enqueue_many
from celeriac.group import AsyncGroup, Group
from celeriac.jobs import Job, file_job, ingest_job, own_job, report_job
from celeriac.members import Members
from celeriac.payload import HasId
from celeriac.steps import Plan, Take, take, take_async

if TYPE_CHECKING:
    from typing import Unpack

    from celeriac.entries import Writing
    from celeriac.options import Given

Answer = TypeVar("Answer")


def outbox(connection: Any) -> Any:
    """Return an :class:`Outbox` on a connection, or an :class:`AsyncOutbox` on one to be awaited.

    The connection is psycopg2's, psycopg's, Django's, SQLAlchemy's (a
    Connection or Session) or asyncpg's. Jobs become rows of the outbox by the
    SQL function ``celeriac.enqueue``, in the transaction that the connection is
    in, and a relay sends them once that has committed. Nothing is committed
    here; a connection in autocommit commits each call by itself. Raises
    :class:`BadSetting` for anything else.
    """
    return AsyncOutbox(connection) if is_asynchronous(connection) else Outbox(connection)


class Outbox:
    """The calls of :class:`celeriac.Client` that enqueue, in the transaction of a connection.

    They return ids; ``client.ticket(id)`` follows a job. Their options are
    ``id``, ``run_at``, ``expires``, ``priority`` and ``track``. Raises
    :class:`BadPayload` before anything is sent; what PostgreSQL refuses, it
    says by the driver's own errors.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def ingest(
        self,
        target: str | Mapping[str, Any],
        row_or_rows: Any = (),
        *,
        columns: Sequence[str] | None = None,
        **options: "Unpack[Given]",
    ) -> str:
        """Enqueue rows for one target, or for several, as one atomic job; return its id."""
        return self._run(enqueue(ingest_job(target, row_or_rows, columns), options))

    def ingest_many(
        self,
        target: str,
        rows: Any,
        *,
        rows_per_job: int = 1000,
        columns: Sequence[str] | None = None,
        **options: "Unpack[Given]",
    ) -> Summary:
        """Enqueue any number of rows, or frames, as jobs; ids and results as in the client's."""
        return self._run(enqueue_many(target, rows, columns, rows_per_job, options))

    def ingest_file(
        self,
        target: str,
        url: str,
        format: str | None = None,
        file_options: Mapping[str, Any] | None = None,
        **options: "Unpack[Given]",
    ) -> str:
        """Enqueue a file that workers can reach; return the job's id."""
        return self._run(enqueue(file_job(target, url, format, file_options), options))

    def report(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,
        fresh_for: float | None = None,
        after: "str | HasId | None" = None,
        **options: "Unpack[Given]",
    ) -> str:
        """Enqueue a report; return the job's id."""
        return self._run(enqueue(report_job(name, params, format, fresh_for, after), options))

    def enqueue(self, task: str, arguments: Mapping[str, Any], **options: "Unpack[Given]") -> str:
        """Enqueue a job of a kind of your own; the relay knows the kind's queue. Return its id."""
        return self._run(enqueue(own_job(task, arguments, None), options))

    def group(self, **options: "Unpack[Given]") -> Group[str]:
        """Begin a group: jobs with one that follows them; its methods ``then_…`` return its id."""
        return Group(Members(checked_options(options)), self._run, self._send_group)

    def _send_group(self, members: Members, then: Plan[Job]) -> str:
        return self._run(enqueue_group(members, then))

    def _run(self, writing: "Writing[Answer]") -> Answer:
        try:
            answer: Any = None
            while True:
                step = writing.send(answer)
                answer = None
                if isinstance(step, Statement):
                    execute(self._connection, step.text, step.parameters)
                elif isinstance(step, Take):
                    answer = take(step)
        except StopIteration as ended:
            found: Answer = ended.value
            return found


class AsyncOutbox:
    """The methods of :class:`Outbox` as coroutines."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def ingest(
        self,
        target: str | Mapping[str, Any],
        row_or_rows: Any = (),
        *,
        columns: Sequence[str] | None = None,
        **options: "Unpack[Given]",
    ) -> str:
        """Enqueue rows for one target, or for several, as one atomic job; return its id."""
        return await self._run(enqueue(ingest_job(target, row_or_rows, columns), options))

    async def ingest_many(
        self,
        target: str,
        rows: Any,
        *,
        rows_per_job: int = 1000,
        columns: Sequence[str] | None = None,
        **options: "Unpack[Given]",
    ) -> Summary:
        """Enqueue any number of rows, or frames, as jobs; ``rows`` is no async iterable."""
        return await self._run(enqueue_many(target, rows, columns, rows_per_job, options))

    async def ingest_file(
        self,
        target: str,
        url: str,
        format: str | None = None,
        file_options: Mapping[str, Any] | None = None,
        **options: "Unpack[Given]",
    ) -> str:
        """Enqueue a file that workers can reach; return the job's id."""
        return await self._run(enqueue(file_job(target, url, format, file_options), options))

    async def report(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,
        fresh_for: float | None = None,
        after: "str | HasId | None" = None,
        **options: "Unpack[Given]",
    ) -> str:
        """Enqueue a report; return the job's id."""
        return await self._run(enqueue(report_job(name, params, format, fresh_for, after), options))

    async def enqueue(
        self, task: str, arguments: Mapping[str, Any], **options: "Unpack[Given]"
    ) -> str:
        """Enqueue a job of a kind of your own; the relay knows the kind's queue. Return its id."""
        return await self._run(enqueue(own_job(task, arguments, None), options))

    def group(self, **options: "Unpack[Given]") -> AsyncGroup[str]:
        """Begin a group: jobs with one that follows them; its methods ``then_…`` return its id."""
        return AsyncGroup(Members(checked_options(options)), self._run, self._send_group)

    async def _send_group(self, members: Members, then: Plan[Job]) -> str:
        return await self._run(enqueue_group(members, then))

    async def _run(self, writing: "Writing[Answer]") -> Answer:
        try:
            answer: Any = None
            while True:
                step = writing.send(answer)
                answer = None
                if isinstance(step, Statement):
                    await execute_async(self._connection, step.text, step.parameters)
                elif isinstance(step, Take):
                    answer = await take_async(step)
                else:
                    await _Turn()
        except StopIteration as ended:
            found: Answer = ended.value
            return found


class _Turn:
    """Lets the loop's other tasks run: ``asyncio.sleep(0)`` without the import of asyncio."""

    def __await__(self) -> Generator[None, None, None]:
        yield
