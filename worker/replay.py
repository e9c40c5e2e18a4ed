"""Send quarantined rows again: gather them into jobs, enqueue these, mark their entries."""

import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from celeriac.contract import INGEST, MAX_BODY_BYTES, REPLAY_IDS
from postgres.outbox import Entry, enqueue
from postgres.quarantined import lock_open
from postgres.replay import Place, mark_replaying
from postgres.transaction import Lender, transaction

#: Bounds of one replay job. A single row may have more bytes, as far as a message can carry it.
MOST_ROWS = 1_000
MOST_BYTES = 1024 * 1024

#: What a body has beside its rows and the target's name.
_FRAME_BYTES = 512


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """A row to send again for an entry: as it came, or edited."""

    entry_id: int
    target: str
    text: str


@dataclass(slots=True)
class ReplayJob:
    """Rows of one target that travel together."""

    id: str
    target: str
    rows: list[ReplayRow] = field(default_factory=list)
    size_bytes: int = 0

    def takes(self, size_bytes: int) -> bool:
        """Whether a further row of this size still fits."""
        return len(self.rows) < MOST_ROWS and self.size_bytes + size_bytes <= MOST_BYTES

    def body(self) -> str:
        """Return the body of its message; the rows keep their text, number by number."""
        rows = ",".join(row.text for row in self.rows)
        embed = '{"callbacks":null,"errbacks":null,"chain":null,"chord":null}'
        return f'[[],{{"target":{json.dumps(self.target)},"rows":[{rows}]}},{embed}]'

    def places(self) -> list[Place]:
        """Say which row of the job is which entry's."""
        return [Place(row.entry_id, self.id, number) for number, row in enumerate(self.rows, 1)]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a page of rows: sent in so many jobs, or taken by somebody else before."""

    jobs: int
    rows: int
    taken: Sequence[int]


def replay(rows: Sequence[ReplayRow], pool: Lender) -> Replayed:
    """Enqueue the rows whose entries still wait, and mark these entries, in one transaction.

    Die in the middle and nothing happened. Of two operators the second finds
    the entries taken.
    """
    with transaction(pool) as cursor:
        waiting = lock_open([row.entry_id for row in rows], cursor)
        jobs = gather((row for row in rows if row.entry_id in waiting), new_replay_id)
        places = [place for job in jobs for place in job.places()]
        mark_replaying(places, cursor)
        enqueue([Entry(job.id, INGEST, job.body()) for job in jobs], cursor)
    taken = [row.entry_id for row in rows if row.entry_id not in waiting]
    return Replayed(len(jobs), len(places), taken)


def gather(rows: Iterable[ReplayRow], new_id: Callable[[], str]) -> list[ReplayJob]:
    """Put the rows of each target into jobs, in their order, within the bounds."""
    jobs: list[ReplayJob] = []
    latest: dict[str, ReplayJob] = {}
    for row in rows:
        size = len(row.text.encode())
        job = latest.get(row.target)
        if job is None or not job.takes(size):
            job = latest[row.target] = ReplayJob(new_id(), row.target)
            jobs.append(job)
        job.rows.append(row)
        job.size_bytes += size + 1
    return jobs


def why_not(text: str, target: str) -> str | None:
    """Say why a row can never travel in a job; None if it can."""
    if not text.lstrip().startswith("{"):
        return f"its row is no object but {text[:40]!r}: export it, edit it, and use --from"
    size = len(text.encode()) + len(target.encode()) + _FRAME_BYTES
    if size > MAX_BODY_BYTES:
        return f"its row makes a body of {size} bytes, at most {MAX_BODY_BYTES} are taken"
    return None


def new_replay_id() -> str:
    """Return an id that nobody else has; later ones sort behind earlier ones."""
    return f"{REPLAY_IDS}{time.time_ns() // 1_000:015x}-{secrets.token_hex(8)}"
