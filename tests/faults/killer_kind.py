"""A kind whose poison ends the process that runs it.

``CELERIAC_KINDS=tests.faults.killer_kind:KILLER``
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from celeriac.contract import State
from postgres import Cursor
from tasks.kind import Counts, Job, Kind, Limits, Outcome

TASK = "faults.killer"
QUEUE = "celeriac.ingest"
#: Where deaths are noted, as the number of jobs that were in the batch, one a line.
DEATHS = "FAULTS_DEATHS"


class KillerPayload(msgspec.Struct, forbid_unknown_fields=True):
    """Whether to die, and whether to take the worker's main process along."""

    poison: bool
    takes_parent: bool = False
    #: A signal to die by; without one the process exits by itself, with status 3.
    signal: int | None = signal.SIGKILL


class Killer(Kind[KillerPayload]):
    """Write a row for each job; die of poison after the rows of the batch went in."""

    name = TASK
    queue = QUEUE
    payload = KillerPayload
    limits = Limits(jobs=100, rows=1000, body_bytes=1 << 20, seconds=10)

    def subject(self, payload: KillerPayload) -> str:
        """Nothing in the catalog."""
        return "killer"

    def rows(self, payload: KillerPayload) -> int:
        """One."""
        return 1

    def run(self, jobs: Sequence[Job[KillerPayload]], cursor: Cursor) -> list[Outcome]:
        """Insert, then perhaps die."""
        ids = [job.id for job in jobs]
        cursor.execute("INSERT INTO faults.entry SELECT unnest(%s), 1, 1", (ids,))
        deadly = [job.payload for job in jobs if job.payload.poison]
        if deadly:
            with Path(os.environ[DEATHS]).open("a") as deaths:
                deaths.write(f"{len(jobs)}\n")
            if deadly[0].takes_parent:
                os.kill(os.getppid(), signal.SIGKILL)
            if deadly[0].signal is None:
                os._exit(3)
            os.kill(os.getpid(), deadly[0].signal)
        return [Outcome(job.id, State.COMMITTED, Counts(inserted=1)) for job in jobs]


KILLER = Killer()
