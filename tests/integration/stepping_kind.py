"""A user's own kind of many transactions: it writes a number a step, and may stop on the way.

``CELERIAC_KINDS=tests.integration.stepping_kind:STEPPING``
"""

import msgspec

from celeriac.contract import State
from tasks.kind import Counts, Job, Limits, Outcome
from tasks.long_kind import LongKind, NotNow, Steps

TASK = "tests.stepping"


class SteppingPayload(msgspec.Struct, forbid_unknown_fields=True):
    """How many steps to take, and at which the job does not go on, once."""

    steps: int
    fails_at: int = -1
    waits_at: int = -1
    forgets_at: int = -1


class Stepping(LongKind[SteppingPayload]):
    """Insert a number in each step."""

    name = TASK
    queue = TASK
    payload = SteppingPayload
    limits = Limits(jobs=1, rows=1, body_bytes=1 << 20, seconds=60)

    def __init__(self) -> None:
        #: Whether the job may pass the step at which it waits.
        self.may_pass = False

    def subject(self, payload: SteppingPayload) -> str:
        """One for all."""
        return "stepping"

    def run_long(self, job: Job[SteppingPayload], steps: Steps) -> Outcome:
        """Begin where the last run ended."""
        payload = job.payload
        for number in range(steps.position or 0, payload.steps):
            with steps.step() as step:
                step.cursor.execute("INSERT INTO depot.place VALUES (%s)", (1000 + number,))
                if number == payload.fails_at:
                    raise ValueError("it failed")
                if number == payload.waits_at and not self.may_pass:
                    raise NotNow("something is away")
                if number != payload.forgets_at:
                    step.move(number + 1, Counts(inserted=1), done_bytes=number, total_bytes=100)
        return Outcome(job.id, State.COMMITTED)


STEPPING = Stepping()
