"""Commit what plain jobs write, ledger and rows, in one statement: the short way.

One round trip a batch. Whatever PostgreSQL refuses undoes the statement as a
whole, and its jobs take the careful way, which finds out why.
"""

from dataclasses import dataclass, field
from functools import cache

from postgres import whole
from postgres.decision import Decision, decide, when_the_server_is_well
from postgres.errors import PoolExhausted, Refused
from postgres.transaction import transaction
from worker import events
from worker.child import Child
from worker.delivery import Fate, Parcel, Settlement
from worker.unpack import PlainJobs

#: SQLSTATE of a statement that ran out of time.
QUERY_CANCELED = "57014"

_CLAIM = "claim_new_jobs"
#: Why that function cannot be called, by SQLSTATE.
_SHUT = {
    "42883": f"the function celeriac.{_CLAIM} is missing",
    "42501": f"this user may not execute celeriac.{_CLAIM}",
}


@dataclass(slots=True)
class Tally:
    """How the jobs of a parcel ended so far, by position; the rest is still to be done."""

    rows: list[int]
    settlements: dict[int, Settlement] = field(default_factory=dict)
    whole: set[int] = field(default_factory=set)
    timeouts: int = 0

    def left(self) -> list[int]:
        """Return the positions that nobody decided yet."""
        done = self.whole
        return [p for p in range(len(self.rows)) if p not in done and p not in self.settlements]


def commit_plain(parcel: Parcel, child: Child, tally: Tally) -> None:
    """Commit the plain jobs of a parcel as far as the short way goes; raises nothing.

    Jobs that it does not decide are as they were: nothing of them is written.
    """
    reader = child.readers.get(parcel.task)
    if reader is None:
        return
    trouble: str | None = None
    for jobs in reader.read(parcel).within(child.batch_rows):
        if trouble is None:
            trouble = _commit(parcel, jobs, child, tally)
        else:
            _wait(jobs, trouble, tally)


def _commit(parcel: Parcel, jobs: PlainJobs, child: Child, tally: Tally) -> str | None:
    """Commit these jobs; return what is wrong with PostgreSQL, if they have to wait for it."""
    try:
        _write(parcel, jobs, child, tally)
    except PoolExhausted as error:
        return _wait(jobs, str(error), tally)
    except Refused as refused:
        if refused.sqlstate in _SHUT and _CLAIM in refused.message:
            _say_shut(refused.sqlstate)
        tally.timeouts += refused.sqlstate == QUERY_CANCELED
        if _is_surely_trouble(refused, len(jobs.ids)):
            return _wait(jobs, str(refused), tally)
    except Exception as error:  # noqa: BLE001 - a kind may raise anything; its run tells which job
        events.short_way_failed(task=parcel.task, jobs=len(jobs.ids), reason=repr(error))
    return None


@cache
def _say_shut(sqlstate: str) -> None:
    """Say, once a process, that no batch can go the short way."""
    events.short_way_shut(reason=_SHUT[sqlstate])


def _is_surely_trouble(refused: Refused, jobs: int) -> bool:
    """Whether PostgreSQL itself said that it is in trouble, and no trigger can have."""
    if decide(refused.sqlstate, refused.phase, jobs) is not Decision.WAIT:
        return False
    return when_the_server_is_well(refused.sqlstate, refused.phase, jobs) is Decision.WAIT


def _write(parcel: Parcel, jobs: PlainJobs, child: Child, tally: Tally) -> None:
    planned = child.kinds[parcel.task].write_whole(jobs.payloads, lambda: transaction(child.pool))
    if planned is None:
        return
    if planned.others:
        others = set(planned.others)
        jobs = jobs.only([place for place in range(len(jobs.ids)) if place not in others])
    if not jobs.ids:
        return
    new = whole.NewJobs(
        task=parcel.task,
        ids=jobs.ids,
        subjects=jobs.subjects,
        rows=jobs.rows,
        digests=jobs.digests,
        relayed=_relayed(parcel, jobs),
    )
    whole.commit_whole(new, planned.writes, child.worker, child.pool)
    for position, rows in zip(jobs.positions, jobs.rows, strict=True):
        tally.rows[position] = rows
    tally.whole.update(jobs.positions)


def _relayed(parcel: Parcel, jobs: PlainJobs) -> list[str]:
    if not parcel.relayed:
        return []
    pairs = zip(jobs.positions, jobs.ids, strict=True)
    return [id_ for position, id_ in pairs if position in parcel.relayed]


def _wait(jobs: PlainJobs, reason: str, tally: Tally) -> str:
    for position, id_, subject in zip(jobs.positions, jobs.ids, jobs.subjects, strict=True):
        tally.settlements[position] = Settlement(id_, Fate.WAIT, error=reason, subject=subject)
    return reason
