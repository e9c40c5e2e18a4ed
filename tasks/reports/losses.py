"""Remember which reports lost their connection while they ran alone, and how often."""

from collections import OrderedDict

from postgres.errors import Phase, Refused

#: A report whose query ended its own session so often is buried.
MOST_LOSSES = 5
#: Jobs that are remembered, the last ones.
_MOST_JOBS = 1_000
#: SQLSTATEs by which a server says that it ends a session begin so.
_ENDED_BY_SERVER = "57P"


class Losses:
    """By job, how often its connection was lost in this process.

    Only memory: a query that crashes the server takes the ledger's session with
    it, so nothing can be written down then. Each child counts for itself.
    """

    def __init__(self) -> None:
        self._losses: OrderedDict[str, int] = OrderedDict()

    def note(self, job_id: str) -> None:
        """Count one more."""
        self._losses[job_id] = self._losses.pop(job_id, 0) + 1
        while len(self._losses) > _MOST_JOBS:
            self._losses.popitem(last=False)

    def verdict(self, job_id: str) -> str | None:
        """Say why the job is not to be tried again; None if it may be."""
        losses = self._losses.get(job_id, 0)
        if losses < MOST_LOSSES:
            return None
        return f"its connection was lost {losses} times while it ran alone: its query may do that"

    def forget(self, job_id: str) -> None:
        """Count anew, should the job ever come again."""
        self._losses.pop(job_id, None)


def is_loss(error: BaseException | None) -> bool:
    """Whether a query ended because its session did."""
    if not isinstance(error, Refused) or error.phase is not Phase.READ:
        return False
    return error.sqlstate is None or error.sqlstate.startswith(_ENDED_BY_SERVER)
