"""Everything that the client raises."""

from collections.abc import Sequence
from typing import Any


class CeleriacError(Exception):
    """Whatever goes wrong here; catch this to catch all."""


class BadSetting(CeleriacError, ValueError):
    """A URL or a setting of the client that can never work."""


class BadPayload(CeleriacError, ValueError):
    """A job that could never succeed; nothing of it was sent.

    From ``ingest_many``, ``sent`` says what had been sent before it.
    """

    sent: Any = None


class BrokerUnavailable(CeleriacError):
    """Redis cannot be reached, does not answer in time, or refuses.

    ``may_have_arrived`` is False when it is certain that nothing was done:
    there was no connection, or Redis answered with an error. ``refused``
    tells the latter. ``job_id`` is set where a job was being sent: send it
    again under that id, and its effect is once.
    """

    def __init__(
        self,
        words: str,
        job_id: str | None = None,
        *,
        may_have_arrived: bool = True,
        refused: bool = False,
    ) -> None:
        super().__init__(words)
        self.job_id = job_id
        self.may_have_arrived = may_have_arrived
        self.refused = refused


class BulkUnfinished(BrokerUnavailable):
    """The broker was lost in the middle of ``ingest_many``.

    Rows go out in their order. ``sent`` (a :class:`celeriac.Summary`) arrived
    for certain; the jobs ``unknown`` may have, in part or whole; the jobs
    ``unsent`` did not. No later row was sent. Under an ``id`` of its own the
    whole call may be repeated.
    """

    def __init__(
        self, words: str, sent: Any, unknown: Sequence[str], unsent: Sequence[str]
    ) -> None:
        super().__init__(words, may_have_arrived=bool(unknown))
        self.sent = sent
        self.unknown = tuple(unknown)
        self.unsent = tuple(unsent)


class QueueFull(CeleriacError):
    """As many jobs wait as ``max_depth`` allows; the job was not sent.

    From ``ingest_many``, ``sent`` says what had been sent before.
    """

    def __init__(self, words: str, job_id: str | None = None, sent: Any = None) -> None:
        super().__init__(words)
        self.job_id = job_id
        self.sent = sent


class ResultsElsewhere(CeleriacError):
    """Workers keep results on a server that this client was not told of."""


class NotTracked(CeleriacError):
    """The job was sent without asking for a result, so none will come."""


class JobFailed(CeleriacError):
    """The job is dead: buried by a worker, for the reason in ``words``."""

    # Celery's AsyncResult raises it too, from the words alone.
    def __init__(self, words: str, job_id: str = "") -> None:
        super().__init__(f"{words}, job {job_id}" if job_id else words)
        self.job_id = job_id
        self.words = words


class JobCancelled(CeleriacError):
    """The job was cancelled before it had an effect."""

    # Celery's AsyncResult raises it too, from the words alone.
    def __init__(self, words: str, job_id: str = "") -> None:
        super().__init__(f"{words}, job {job_id}" if job_id else words)
        self.job_id = job_id
        self.words = words


class WaitTimeout(CeleriacError, TimeoutError):
    """The job did not end in time; it may still do so."""


class DownloadFailed(CeleriacError):
    """The file of a report cannot be had here, or is not what the worker wrote."""
