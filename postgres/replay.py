"""Tie quarantined rows to the jobs that replay them, and close them with these jobs.

A replay job is an ordinary job whose id says that it is one. It may run only
while each of its rows has an entry that waits for it; this fence holds even
where the ledger forgot the job long ago.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from celeriac.contract import REPLAY_IDS
from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement


@dataclass(frozen=True, slots=True)
class Place:
    """The row of a replay job that an entry became."""

    entry_id: int
    job_id: str
    row_number: int


def is_replay(job_id: str) -> bool:
    """Whether the job's rows come out of the quarantine."""
    return job_id.startswith(REPLAY_IDS)


def mark_replaying(places: Sequence[Place], cursor: Cursor) -> int:
    """Tie entries that wait to the jobs that carry their rows; return how many were."""
    parameters = {
        "ids": [one.entry_id for one in places],
        "jobs": [one.job_id for one in places],
        "rows": [one.row_number for one in places],
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("mark_replaying"), parameters)
    return cursor.rowcount


def count_replaying(job_ids: Iterable[str], cursor: Cursor) -> Mapping[str, int]:
    """Return, for those that are replays, how many entries wait for each; a job without has 0.

    The entries stay as they are until the transaction ends. Asks nothing of
    the server when no id is a replay's.
    """
    replays = [id_ for id_ in job_ids if is_replay(id_)]
    if not replays:
        return {}
    with refusals(Phase.CLAIM):
        cursor.execute(statement("count_replaying"), {"jobs": replays})
        return dict.fromkeys(replays, 0) | dict(cursor.fetchall())


def close_replays(job_ids: Iterable[str], cursor: Cursor) -> None:
    """Let the entries of replays follow what this transaction wrote of their jobs."""
    replays = [id_ for id_ in job_ids if is_replay(id_)]
    if replays:
        _close(replays, cursor)


def close_ended_replays(cursor: Cursor) -> int:
    """Let entries follow whatever ended their jobs otherwise than a worker of this version."""
    return _close(None, cursor)


def _close(job_ids: Sequence[str] | None, cursor: Cursor) -> int:
    with refusals(Phase.RECORD):
        cursor.execute(statement("close_replays"), {"jobs": job_ids})
    return cursor.rowcount
