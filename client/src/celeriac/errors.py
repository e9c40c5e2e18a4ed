"""Everything that the client raises."""


class CeleriacError(Exception):
    """Whatever goes wrong here; catch this to catch all."""


class BadSetting(CeleriacError, ValueError):
    """A URL or a setting of the client that can never work."""


class BadPayload(CeleriacError, ValueError):
    """A job that could never succeed; nothing was sent."""


class BrokerUnavailable(CeleriacError):
    """Redis cannot be reached, does not answer in time, or refuses.

    A message under way may have arrived all the same. ``job_id`` is set where
    a job was being sent: send it again under that id, and its effect is once.
    """

    def __init__(self, words: str, job_id: str | None = None) -> None:
        super().__init__(words)
        self.job_id = job_id


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
