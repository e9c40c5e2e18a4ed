"""Say what follows for a report's job when its answer could not be made."""

import traceback

from celeriac.contract import State
from postgres.decision import Decision, decide
from postgres.errors import PostgresError, Refused
from tasks.kind import Outcome, Waits
from tasks.reports.header import Unanswerable
from tasks.reports.request import Request
from tasks.stores import StoreTrouble

_MAY_GO_WELL = (Decision.AGAIN, Decision.BUSY)


def outcome_after(error: Exception, job_id: str, request: Request) -> Outcome:
    """Return how the job ends or what it waits for; raises the error if the server is in trouble.

    A replica that cancels a query because it has to go on, a lock, a full disk:
    none is the job's fault. It waits by itself, and is tried again.
    """
    report = request.report
    if isinstance(error, StoreTrouble):
        return _waits(job_id, str(error))
    if isinstance(error, Unanswerable):
        return Outcome(job_id, State.DEAD, error=f"report {report.name}: {error}")
    if isinstance(error, Refused):
        decision = decide(error.sqlstate, error.phase, 1)
        if decision is Decision.WAIT:
            raise error
        if decision in _MAY_GO_WELL:
            return _waits(job_id, f"report {report.name}: {error}")
        words = f"{error.message} (SQLSTATE {error.sqlstate}, {report.path.name})"
        return Outcome(job_id, State.DEAD, error=f"report {report.name}: {words}")
    if isinstance(error, PostgresError):
        raise error  # No connection was free: again, no fault of a report's.
    where = traceback.extract_tb(error.__traceback__)[-1]
    words = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    return Outcome(job_id, State.DEAD, error=f"report {report.name}: {words}")


def _waits(job_id: str, reason: str) -> Outcome:
    return Outcome(job_id, State.QUEUED, error=reason, waits=Waits.BY_ITSELF)
