"""What an enqueued job hands back: ask its state, wait for its end.

Two kinds with the same methods: one for threads, one for asyncio.
"""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from celeriac.cancel import Cancellation
from celeriac.contract import State
from celeriac.download import fetch
from celeriac.download_async import fetch_in_thread
from celeriac.producer import Producer, Sent

if TYPE_CHECKING:
    from pathlib import Path

    from celeriac.awaiting import Edge as AwaitingEdge
    from celeriac.blocking import Edge as BlockingEdge


class _Job:
    """A job, known by its id; cheap to make, connects only when asked."""

    __slots__ = ("_edge", "_id", "_producer", "_sent")

    def __init__(self, job_id: str, producer: Producer, edge: Any, sent: Sent | None = None):
        self._id = job_id
        self._producer = producer
        self._edge = edge
        self._sent = sent

    @property
    def id(self) -> str:
        """The job's id, also the ``task_id`` of Celery."""
        return self._id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._id!r})"


class Ticket(_Job):
    """One job; every method but :meth:`wait` and :meth:`download` ends within the client's timeout.

    Each raises :class:`BrokerUnavailable` when Redis does not answer, and
    :class:`ResultsElsewhere` when results are kept where this client was not
    told to look.
    """

    __slots__ = ()
    _edge: "BlockingEdge"

    def state(self) -> State:
        """Say what Redis knows of the job now.

        The result tells ``committed``, ``dead``, ``cancelled``, ``held``,
        ``running`` and ``working``. Without one, a message that this client
        sent and still finds in its queue is ``queued``. Anything else is
        ``unknown``, and that is honest: a job may be with a worker, deep in a
        long queue, too large to look for, sent by somebody else, untracked, or
        its result may have expired. The ledger in PostgreSQL knows more.
        """
        return self._edge.run(self._producer.state(self._id, self._sent), is_bounded=False)

    def wait(self, timeout: float = 30.0) -> dict[str, Any]:
        """Wait until the job is committed, at most ``timeout`` seconds, and return its result.

        Raises :class:`JobFailed` with the worker's words, :class:`JobCancelled`,
        or :class:`WaitTimeout` when the job did not end in time; a held job is
        waited for, since it goes on once its target is open again. A job sent
        with ``track=False`` raises :class:`NotTracked` at once.
        """
        plan = self._producer.wait(self._id, self._sent, timeout)
        return self._edge.run(plan, is_bounded=False)

    def result(self) -> dict[str, Any] | None:
        """Return the result of a committed job, None of one that has not ended; do not wait.

        Raises :class:`JobFailed` or :class:`JobCancelled` for one that ended otherwise.
        """
        return self._edge.run(self._producer.result(self._id), is_bounded=False)

    def progress(self) -> dict[str, Any] | None:
        """Return how far a file job or a report is, as its worker told last; None if nothing."""
        return self._edge.run(self._producer.progress(self._id), is_bounded=False)

    def download(self, to: Any, timeout: float = 30.0) -> "Path | None":
        """Wait for a report as :meth:`wait` does, and copy its file; return where it is now.

        ``to`` is a path, a folder that is there, or a binary file to write
        to (then None is returned). The copy is compared with the hash that
        the worker took: under the final name there is the whole file or
        nothing. Raises :class:`DownloadFailed`.
        """
        return fetch(self.wait(timeout), to)

    def cancel(self) -> Cancellation:
        """Cancel the job, as :meth:`Client.cancel` does; a report that runs is stopped too."""
        return self._edge.run(self._producer.cancel(self._id, self._sent), is_bounded=False)


class AsyncTicket(_Job):
    """One job; the methods of :class:`Ticket` as coroutines, and ``await ticket`` waits."""

    __slots__ = ()
    _edge: "AwaitingEdge"

    async def state(self) -> State:
        """Say what Redis knows of the job now; see :meth:`Ticket.state`."""
        return await self._edge.run(self._producer.state(self._id, self._sent), is_bounded=False)

    async def wait(self, timeout: float = 30.0) -> dict[str, Any]:
        """Wait until the job is committed and return its result; see :meth:`Ticket.wait`."""
        plan = self._producer.wait(self._id, self._sent, timeout)
        return await self._edge.run(plan, is_bounded=False)

    async def result(self) -> dict[str, Any] | None:
        """Return the result of a committed job; see :meth:`Ticket.result`."""
        return await self._edge.run(self._producer.result(self._id), is_bounded=False)

    async def progress(self) -> dict[str, Any] | None:
        """Return how far a file job is; see :meth:`Ticket.progress`."""
        return await self._edge.run(self._producer.progress(self._id), is_bounded=False)

    async def download(self, to: Any, timeout: float = 30.0) -> "Path | None":
        """Wait for a report and copy its file, in a thread; see :meth:`Ticket.download`."""
        return await fetch_in_thread(await self.wait(timeout), to)

    async def cancel(self) -> Cancellation:
        """Cancel the job; see :meth:`Ticket.cancel`."""
        plan = self._producer.cancel(self._id, self._sent)
        return await self._edge.run(plan, is_bounded=False)

    def __await__(self) -> Generator[Any, None, dict[str, Any]]:
        return self.wait().__await__()
