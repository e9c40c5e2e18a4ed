"""Groups: jobs that are sent together, and one that follows when all of them have committed.

Two kinds with the same methods: one for threads, one for asyncio.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from celeriac.cut import Cut
from celeriac.jobs import Job, file_job, ingest_job, report_job
from celeriac.members import Members
from celeriac.steps import Plan

Following = TypeVar("Following")
Answer = TypeVar("Answer")


class _Runs(Protocol):
    """Carries out a plan that gathers jobs."""

    def __call__(self, plan: Plan[Answer], /) -> Answer: ...


class _RunsAsync(Protocol):
    """The same, awaited."""

    def __call__(self, plan: Plan[Answer], /) -> Awaitable[Answer]: ...


class _Gathered:
    """What both kinds know of their jobs."""

    _members: Members

    @property
    def id(self) -> str:
        """The group's id, under which the table ``celeriac.job_group`` has it."""
        return self._members.id

    @property
    def ids(self) -> list[str]:
        """The ids of the jobs so far, in their order."""
        return list(self._members.jobs)


class Group(_Gathered, Generic[Following]):
    """Jobs that are gathered until a method ``then_…`` sends them, with what follows.

    Nothing is sent before that, and a group that is forgotten was never
    there. What follows is enqueued in the transaction that commits the last
    of the jobs, once; one that is dead, held or cancelled keeps it waiting.
    Methods raise :class:`BadPayload`; those named ``then_…`` also what
    :meth:`celeriac.Client.ingest_many` raises: the same call again, on this
    object or on one made alike with an ``id``, sends what is missing, and no
    job has its effect twice.
    """

    def __init__(
        self,
        members: Members,
        run: _Runs,
        send: Callable[[Members, Plan[Job]], Following],
    ) -> None:
        self._members = members
        self._run = run
        self._send = send

    def ingest(
        self,
        target: str | Mapping[str, Any],
        row_or_rows: Any = (),
        *,
        columns: Sequence[str] | None = None,
        id: str | None = None,
    ) -> str:
        """Add rows for one target, or for several, as one atomic job; return its id."""
        return self._run(self._members.add(ingest_job(target, row_or_rows, columns), id))

    def ingest_many(
        self,
        target: str,
        rows: Any,
        *,
        rows_per_job: int = 1000,
        columns: Sequence[str] | None = None,
    ) -> list[str]:
        """Add any number of rows, or frames, as jobs of ``rows_per_job``; return their ids.

        They are kept here as JSON until the group is sent. If a row is
        refused, none of them was added.
        """
        return self._run(self._members.add_many(Cut(target, columns, rows_per_job), rows))

    def ingest_file(
        self,
        target: str,
        url: str,
        format: str | None = None,
        file_options: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
    ) -> str:
        """Add a file that workers can reach; return the job's id."""
        return self._run(self._members.add(file_job(target, url, format, file_options), id))

    def report(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,
        fresh_for: float | None = None,
        id: str | None = None,
    ) -> str:
        """Add a report; return the job's id."""
        return self._run(self._members.add(report_job(name, params, format, fresh_for), id))

    def then_ingest(
        self,
        target: str | Mapping[str, Any],
        row_or_rows: Any = (),
        *,
        columns: Sequence[str] | None = None,
    ) -> Following:
        """Send the group; these rows follow."""
        return self._send(self._members, ingest_job(target, row_or_rows, columns))

    def then_ingest_file(
        self,
        target: str,
        url: str,
        format: str | None = None,
        file_options: Mapping[str, Any] | None = None,
    ) -> Following:
        """Send the group; this file follows."""
        return self._send(self._members, file_job(target, url, format, file_options))

    def then_report(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,
        fresh_for: float | None = None,
    ) -> Following:
        """Send the group; this report follows."""
        return self._send(self._members, report_job(name, params, format, fresh_for))


class AsyncGroup(_Gathered, Generic[Following]):
    """The methods of :class:`Group` as coroutines."""

    def __init__(
        self,
        members: Members,
        run: _RunsAsync,
        send: Callable[[Members, Plan[Job]], Awaitable[Following]],
    ) -> None:
        self._members = members
        self._run = run
        self._send = send

    async def ingest(
        self,
        target: str | Mapping[str, Any],
        row_or_rows: Any = (),
        *,
        columns: Sequence[str] | None = None,
        id: str | None = None,
    ) -> str:
        """Add rows for one target, or for several, as one atomic job; return its id."""
        return await self._run(self._members.add(ingest_job(target, row_or_rows, columns), id))

    async def ingest_many(
        self,
        target: str,
        rows: Any,
        *,
        rows_per_job: int = 1000,
        columns: Sequence[str] | None = None,
    ) -> list[str]:
        """Add any number of rows, or frames, as jobs; ``rows`` may be an async iterable."""
        return await self._run(self._members.add_many(Cut(target, columns, rows_per_job), rows))

    async def ingest_file(
        self,
        target: str,
        url: str,
        format: str | None = None,
        file_options: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
    ) -> str:
        """Add a file that workers can reach; return the job's id."""
        return await self._run(self._members.add(file_job(target, url, format, file_options), id))

    async def report(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,
        fresh_for: float | None = None,
        id: str | None = None,
    ) -> str:
        """Add a report; return the job's id."""
        return await self._run(self._members.add(report_job(name, params, format, fresh_for), id))

    async def then_ingest(
        self,
        target: str | Mapping[str, Any],
        row_or_rows: Any = (),
        *,
        columns: Sequence[str] | None = None,
    ) -> Following:
        """Send the group; these rows follow."""
        return await self._send(self._members, ingest_job(target, row_or_rows, columns))

    async def then_ingest_file(
        self,
        target: str,
        url: str,
        format: str | None = None,
        file_options: Mapping[str, Any] | None = None,
    ) -> Following:
        """Send the group; this file follows."""
        return await self._send(self._members, file_job(target, url, format, file_options))

    async def then_report(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        *,
        format: str | None = None,
        fresh_for: float | None = None,
    ) -> Following:
        """Send the group; this report follows."""
        return await self._send(self._members, report_job(name, params, format, fresh_for))
