"""What an enqueued job hands back: ask its state, wait for its end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis

from celeriac.contract import State
from celeriac.errors import JobCancelled, JobFailed, NotTracked, WaitTimeout
from celeriac.result import fetch_result, wait_for_result, words_of
from celeriac.server import Server

#: How deep into a queue ``state()`` looks for the message; bounds Redis' work.
SEARCHED_MESSAGES: Final = 10_000
#: Larger messages are not kept, so that holding many tickets costs little.
KEPT_MESSAGE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Sent:
    """Where a message went; ``raw`` is None when it was too large to keep."""

    broker: Server
    key: str
    raw: bytes | None
    tracked: bool


class Ticket:
    """One job, known by its id; cheap to make, connects only when asked."""

    __slots__ = ("_id", "_results", "_sent")

    def __init__(self, job_id: str, results: Callable[[], Server], sent: Sent | None = None):
        self._id = job_id
        self._results = results
        self._sent = sent

    @property
    def id(self) -> str:
        """The job's id, also the ``task_id`` of Celery."""
        return self._id

    def __repr__(self) -> str:
        return f"Ticket({self._id!r})"

    def state(self) -> State:
        """Say what Redis knows of the job now.

        The result tells ``committed``, ``dead``, ``cancelled``, ``held`` and
        ``running``. Without one, a message that this client sent and still
        finds in its queue is ``queued``. Anything else is ``unknown``, and
        that is honest: a job may be with a worker, deep in a long queue, too
        large to look for, sent by somebody else, untracked, or its result may
        have expired. The ledger in PostgreSQL knows more.
        """
        # First the queue, then the result: a job that ends in between is seen.
        queued = self._is_queued()
        state = fetch_result(self._results(), self._id).state
        return State.QUEUED if queued and state is State.UNKNOWN else state

    def wait(self, timeout: float = 30.0) -> dict[str, Any]:
        """Wait until the job is committed and return its result.

        Raises :class:`JobFailed` with the worker's words, :class:`JobCancelled`,
        or :class:`WaitTimeout` when the job did not end in ``timeout`` seconds;
        a held job is waited for, since it goes on once its target is open again.
        """
        if self._sent is not None and not self._sent.tracked:
            raise NotTracked(f"no result comes for a job sent with track=False, job {self._id}")
        result = wait_for_result(self._results(), self._id, timeout)
        if result.state is State.COMMITTED:
            value: dict[str, Any] = result.value
            return value
        if result.state is State.DEAD:
            raise JobFailed(words_of(result.value), self._id)
        if result.state is State.CANCELLED:
            raise JobCancelled(words_of(result.value), self._id)
        raise WaitTimeout(f"no end within {timeout:g} s, last seen {result.state}, job {self._id}")

    def _is_queued(self) -> bool:
        sent = self._sent
        if sent is None or sent.raw is None:
            return False
        key, raw = sent.key, sent.raw

        def find(redis: Redis) -> object:
            return redis.lpos(key, raw, maxlen=SEARCHED_MESSAGES)  # type: ignore[arg-type]  # bytes

        return sent.broker.ask(f"LPOS {key}", find) is not None
