"""A message that waits for its batch, and the bounds that batches have."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from worker.accumulate import Bounds
from worker.delivery import Delivery, Fate
from worker.request import RawMessage, Request

#: Task name under which messages wait that belong to no kind; they are only buried.
RAW = ""


def lane_of_target(subject: str) -> str:
    """Name the lane in which the jobs of a locked target wait."""
    return f"target {subject}"


@dataclass(slots=True)
class Waiting:
    """A message in the main process, and what is known of it by now."""

    request: Request | RawMessage
    delivery: Delivery
    subject: str
    rows: int
    apart: str = ""
    crashes: int = 0
    first_busy_at: float | None = None

    @property
    def lane(self) -> tuple[str, str]:
        """Task, and what keeps the job apart from the task's ordinary jobs."""
        return self.delivery.task, self.apart

    @property
    def size_bytes(self) -> int:
        """Bytes of the body."""
        return len(self.delivery.body)

    def depart(self, now: datetime, *, may_wait: bool) -> Delivery:
        """Return what the child gets; whether the job was revoked or expired is asked now."""
        cancelled = None
        if isinstance(self.request, Request):
            cancelled = self.request.cancel_reason(now)
        self.delivery = replace(self.delivery, cancelled=cancelled, may_wait=may_wait)
        return self.delivery

    def start(self, pid: int, at: float) -> None:
        """Note which child runs the job."""
        if isinstance(self.request, Request):
            self.request.on_accepted(pid, at)

    def unstart(self) -> None:
        """Take it back from the running ones."""
        if isinstance(self.request, Request):
            self.request.unstart()

    def set_apart(self, fate: Fate) -> None:
        """Keep the job from its task's ordinary ones: a batch of its own waits for it alone."""
        self.apart = (
            lane_of_target(self.subject) if fate is Fate.LATER else f"job {self.delivery.id}"
        )

    def suspect(self, reason: str, *, alone: bool, crash_limit: int) -> None:
        """Run alone next; after too many deaths while alone, bury."""
        self.apart = f"suspect {self.delivery.id}"
        self.crashes += alone
        if self.crashes >= crash_limit:
            words = f"its process died {self.crashes} times while it ran alone: {reason}"
            self.delivery = replace(self.delivery, buried=words)


@dataclass(frozen=True, slots=True)
class Batching:
    """How batches are bounded, how long one may run, and when patience ends."""

    bounds: Mapping[str, Bounds]
    seconds: Mapping[str, float]
    crash_limit: int
    busy_hold_seconds: float
    #: The most jobs that may wait here for locked targets; more are held in PostgreSQL.
    parked_jobs: int
