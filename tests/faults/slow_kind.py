"""A kind whose jobs take their time, one to a batch, and note each run of theirs.

``CELERIAC_KINDS=tests.faults.slow_kind:SLOW,tests.faults.slow_kind:LONG``
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from celeriac.contract import State
from postgres import Cursor
from tasks.kind import Counts, Job, Kind, Limits, Outcome

TASK = "faults.slow"
QUEUE = "celeriac.ingest"
#: The same jobs in a queue of their own, whose workers reserve no more than they run.
LONG_TASK, LONG_QUEUE = "faults.long", "faults.long"
TARGET = "faults_entry"
AMOUNT = 7
#: Where runs are noted, as the ids of their jobs, one a line.
RUNS = "FAULTS_RUNS"
#: Beside it, a file with this further suffix lets all jobs come to their end.
ENOUGH = ".enough"

#: Short statements: it is the job that lasts, whatever the limit of one statement.
_STEP_SECONDS = 0.2


class SlowPayload(msgspec.Struct, forbid_unknown_fields=True):
    """How long."""

    seconds: float


class Slow(Kind[SlowPayload]):
    """Keep PostgreSQL waiting, then write one row."""

    name = TASK
    queue = QUEUE
    payload = SlowPayload
    limits = Limits(jobs=1, rows=1, body_bytes=1 << 20, seconds=60)

    def subject(self, payload: SlowPayload) -> str:
        """The table it writes to."""
        return TARGET

    def rows(self, payload: SlowPayload) -> int:
        """One."""
        return 1

    def run(self, jobs: Sequence[Job[SlowPayload]], cursor: Cursor) -> list[Outcome]:
        """Note that it runs, wait, insert."""
        (job,) = jobs
        with Path(os.environ[RUNS]).open("a") as runs:
            runs.write(f"{job.id}\n")
        enough = Path(os.environ[RUNS] + ENOUGH)
        for _ in range(round(job.payload.seconds / _STEP_SECONDS)):
            if enough.exists():
                break
            cursor.execute("SELECT pg_sleep(%s)", (_STEP_SECONDS,))
        cursor.execute("INSERT INTO faults.entry VALUES (%s, 1, %s)", (job.id, AMOUNT))
        return [Outcome(job.id, State.COMMITTED, Counts(inserted=1))]


class Long(Slow):
    """The same for workers that do nothing else."""

    name = LONG_TASK
    queue = LONG_QUEUE


SLOW, LONG = Slow(), Long()
