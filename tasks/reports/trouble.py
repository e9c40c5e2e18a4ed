"""Say what follows for a report's job when its answer could not be made."""

import traceback

from celeriac.contract import State
from postgres.decision import Decision, decide
from postgres.errors import PostgresError, Refused
from tasks.kind import Outcome, Waits
from tasks.reports.declared.header import Unanswerable
from tasks.reports.request import Request
from tasks.stores import StoreTrouble

_OF_THE_SERVER = "the database that reports read is in trouble"
#: An error may quote what it stumbled over, whatever that was.
_MOST_CHARACTERS = 2_000
#: So that there is room for what is said around it.
_MOST_QUOTED = 1_500
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
        return _dead(job_id, f"report {report.name}: {error}")
    if isinstance(error, Refused):
        if is_of_the_server(error):
            raise error
        if decide(error.sqlstate, error.phase, 1) in _MAY_GO_WELL:
            return _waits(job_id, f"report {report.name}: {error}")
        where = f"(SQLSTATE {error.sqlstate}, {report.path.name})"
        return _dead(job_id, f"report {report.name}: {_told(error.message, _MOST_QUOTED)} {where}")
    if isinstance(error, PostgresError):
        raise error  # No connection was free: again, no fault of a report's.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    told = _told(str(error), _MOST_QUOTED)
    words = f"{type(error).__name__}: {told} ({frame.name}, line {frame.lineno})"
    return _dead(job_id, f"report {report.name}: {words}")


def is_of_the_server(error: Exception) -> bool:
    """Tell whether the server that is read, or the way to it, is in trouble, as far as it says."""
    return isinstance(error, Refused) and (decide(error.sqlstate, error.phase, 1) is Decision.WAIT)


def waits_for_the_server(error: Exception, job_id: str, report: str) -> Outcome:
    """Let a job wait by itself until the reports' server is back; others go on meanwhile."""
    return _waits(job_id, f"report {report}: {_OF_THE_SERVER}: {error}")


def _waits(job_id: str, reason: str) -> Outcome:
    return Outcome(job_id, State.QUEUED, error=_told(reason), waits=Waits.BY_ITSELF)


def _dead(job_id: str, words: str) -> Outcome:
    return Outcome(job_id, State.DEAD, error=_told(words))


def _told(words: str, most_characters: int = _MOST_CHARACTERS) -> str:
    """Return words that PostgreSQL can store, whoever chose them, and not too many."""
    text = words[:most_characters].replace("\0", "\\x00")
    return text.encode("utf-8", "backslashreplace").decode()[:most_characters]
