"""A kind that sleeps: ``CELERIAC_KINDS=tests.acceptance.sleeper_kind:SLEEPER``."""

import time
from collections.abc import Sequence

import msgspec

from celeriac.contract import State
from postgres import Cursor
from tasks.kind import Job, Kind, Limits, Outcome

TASK = "acceptance.sleeper"


class SleeperPayload(msgspec.Struct, forbid_unknown_fields=True):
    """How long."""

    seconds: float


class Sleeper(Kind[SleeperPayload]):
    """Sleep for each job, one after the other."""

    name = TASK
    queue = "celeriac.ingest"
    payload = SleeperPayload
    limits = Limits(jobs=100, rows=1000, body_bytes=1 << 20, seconds=5)

    def subject(self, payload: SleeperPayload) -> str:
        """Nothing in the catalog."""
        return "sleeper"

    def run(self, jobs: Sequence[Job[SleeperPayload]], cursor: Cursor) -> list[Outcome]:
        """Sleep."""
        for job in jobs:
            time.sleep(job.payload.seconds)
        return [Outcome(job.id, State.COMMITTED) for job in jobs]


SLEEPER = Sleeper()
