"""A user's own kind of which some jobs turn out to take long: they add numbers, few or many.

``CELERIAC_KINDS=tests.integration.turning_kind:TURNING``
"""

from collections.abc import Sequence

import msgspec

from celeriac.contract import State
from postgres import Cursor
from tasks.kind import Counts, Job, Kind, Limits, Outcome, Tools, Waits
from tasks.long_kind import Steps

TASK = "tests.turning"
#: More than so many places are no work for company.
_FEW = 10
INSERT = "INSERT INTO depot.place SELECT 1000 + %s + n FROM generate_series(0, %s) AS n"


class TurningPayload(msgspec.Struct, forbid_unknown_fields=True):
    """Which places to add, and how the job waits before it does."""

    first: int
    count: int = 1
    waits: Waits | None = None


class Turning(Kind[TurningPayload]):
    """Add few places in the batch's transaction, many in steps of their own."""

    name = queue = TASK
    payload = TurningPayload
    limits = Limits(jobs=50, rows=1000, body_bytes=1 << 20, seconds=60)
    hears = True

    def open(self, tools: Tools) -> None:
        """Keep what tells that a job is unwanted."""
        self.is_unwanted = tools.is_unwanted

    def subject(self, payload: TurningPayload) -> str:
        """One for all."""
        return "turning"

    def rows(self, payload: TurningPayload) -> int:
        """Each place is a row."""
        return payload.count

    def run(self, jobs: Sequence[Job[TurningPayload]], cursor: Cursor) -> list[Outcome]:
        """Do what is quickly done."""
        return [self._outcome(job, cursor) for job in jobs]

    def _outcome(self, job: Job[TurningPayload], cursor: Cursor) -> Outcome:
        payload = job.payload
        if self.is_unwanted(job.id):
            return Outcome(job.id, State.CANCELLED, error="nobody wants it")
        if payload.count > _FEW:
            return Outcome(job.id, State.WORKING)
        if payload.waits is not None and not job.waited_seconds:
            return Outcome(job.id, State.QUEUED, error="it waits", waits=payload.waits)
        cursor.execute(INSERT, (payload.first, payload.count - 1))
        return Outcome(job.id, State.COMMITTED, Counts(inserted=payload.count))

    def run_long(self, job: Job[TurningPayload], steps: Steps) -> Outcome:
        """Add the places one by one."""
        for number in range(job.payload.count):
            with steps.step() as step:
                step.cursor.execute(INSERT, (job.payload.first + number, 0))
                step.move(number + 1, Counts(inserted=1))
        return Outcome(job.id, State.COMMITTED)


TURNING = Turning()
