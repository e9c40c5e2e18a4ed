"""Let reports wait for a commit: what they read may be a replica, which shows it later."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from celeriac.contract import State
from postgres.arrival import job_states, reached
from postgres.errors import Refused
from tasks.kind import BadPayload, Job, Outcome, Tools, Waits
from tasks.reports.trouble import is_of_the_server, waits_for_the_server
from tasks.reports.values import shown

#: A position in PostgreSQL's log; anything else is a job's id.
_POSITION = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_MOST_CHARACTERS = 200

_NEVER = (State.DEAD, State.CANCELLED)


def check_after(after: str | None) -> None:
    """Refuse what can be neither a job's id nor a position."""
    if after is None:
        return
    if not 0 < len(after) <= _MOST_CHARACTERS or "\0" in after:
        raise BadPayload(
            f"after must be the id of a job or a position like 0/16B3748, got {shown(after)}"
        )


def not_yet(
    jobs: Iterable[Job[Any]], limits: Mapping[str, float], tools: Tools
) -> dict[str, Outcome]:
    """Return the outcomes of those whose ``after`` has not arrived; the others may begin.

    ``limits`` says for how many seconds each may wait. Ask before the reports'
    snapshot is taken: what has arrived now is in it.
    """
    asked = {job.id: job for job in jobs if job.payload.after is not None}
    if not asked:
        return {}
    wanted = {job.payload.after for job in asked.values()}
    positions = {after for after in wanted if _POSITION.fullmatch(after)}
    try:
        with tools.snapshot() as cursor:
            states = job_states(wanted - positions, cursor)
            arrived = reached(positions, cursor)
    except Refused as error:
        if not (tools.reads_elsewhere and is_of_the_server(error)):
            raise
        return {
            id_: waits_for_the_server(error, id_, job.payload.name) for id_, job in asked.items()
        }
    arrived |= {id_ for id_, state in states.items() if state is State.COMMITTED}
    return {
        id_: _outcome(job, states.get(job.payload.after), limits[id_])
        for id_, job in asked.items()
        if job.payload.after not in arrived
    }


def _outcome(job: Job[Any], state: State | None, limit_seconds: float) -> Outcome:
    after = job.payload.after
    if state in _NEVER:
        words = f"after names job {after!r}, which is {state}: it does not commit"
        return Outcome(job.id, State.DEAD, error=words)
    if job.waited_seconds > limit_seconds:
        words = f"after {after!r} was not seen where reports are read, for {limit_seconds:g} s"
        return Outcome(job.id, State.DEAD, error=words)
    words = f"waits until {after!r} is seen where reports are read"
    return Outcome(job.id, State.QUEUED, error=words, waits=Waits.BY_ITSELF)
