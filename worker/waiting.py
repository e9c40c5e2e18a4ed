"""A job that waits for its batch in the main process, and the bounds that batches have."""

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from celeriac.contract import REPORT
from worker.accumulate import Bounds
from worker.delivery import Fate
from worker.request import RawMessage, Request

#: Task name under which messages wait that belong to no kind; they are only buried.
RAW = ""

#: Task name under which messages wait that go to the outbox, since their time is far off.
POSTPONED = " postponed"

#: What keeps jobs apart that take long: one of them a batch.
LONG = "long"


def lane_of_target(task: str, subject: str) -> str:
    """Name the lane in which the jobs of a locked target wait; a report only shares its name."""
    return f"report {subject}" if task == REPORT else f"target {subject}"


class Waiting(msgspec.Struct, eq=False, weakref=True):
    """A job in the main process, and what is known of it by now.

    Most jobs are plain: an entry of their slab, unopened, without a
    ``request``. The others came by Celery's ordinary way, and have one.
    ``slab`` and ``position`` say where Redis keeps the message.
    """

    id: str
    task: str
    body: str | bytes
    wants_result: bool
    slab: int = 0
    position: int = 0
    request: Request | RawMessage | None = None
    subject: str = ""
    rows: int = 1
    apart: str = ""
    #: Its process died while it was dispatched; how often while it ran alone.
    is_suspect: bool = False
    crashes: int = 0
    #: A whole worker died with it, and nobody knows by whose fault: nothing runs beside it.
    needs_quiet: bool = False
    buried: str | None = None
    first_busy_at: float | None = None
    #: When it came here, if jobs of its task may take long: what began since knows no less.
    came_at: float | None = None
    #: It was tried in company, and takes longer than its companions may wait.
    takes_long: bool = False
    #: It came by the outbox, which its commit takes it out of.
    is_relayed: bool = False
    #: Somebody cancelled it before it came here.
    is_cancelled: bool = False
    #: Whether Flower is told of it.
    is_shown: bool = False

    @property
    def lane(self) -> tuple[str, str]:
        """Task, and what keeps the job apart from the task's ordinary jobs."""
        return self.task, self.apart

    @property
    def size_bytes(self) -> int:
        """Bytes of the body as it came."""
        return len(self.body)

    def waited_seconds(self, now: float) -> float:
        """Return for how long it has been sent away to wait, on the clock of such times."""
        return 0.0 if self.first_busy_at is None else now - self.first_busy_at

    def aside_seconds(self, now: float) -> float:
        """Return how long ago it came here; 0 where nobody asks."""
        return 0.0 if self.came_at is None else now - self.came_at

    def cancel_reason(self, now: datetime, revoked: Container[str]) -> str | None:
        """Say why the job must not start, if it has not committed; None if it may."""
        if isinstance(self.request, Request):
            return self.request.cancel_reason(now)
        return "revoked" if self.is_cancelled or self.id in revoked else None

    def set_apart(self, fate: Fate) -> None:
        """Keep the job from its task's ordinary ones: a batch of its own waits for it alone.

        A suspect stays by itself, whatever else it waits for.
        """
        if self.is_suspect:
            return
        self.apart = (
            lane_of_target(self.task, self.subject) if fate is Fate.LATER else f"job {self.id}"
        )

    def go_alone(self) -> None:
        """Wait for a turn among those that take long; a suspect stays by itself."""
        self.takes_long = True
        if not self.is_suspect:
            self.apart = LONG

    def suspect(self, reason: str, deaths: int, crash_limit: int) -> None:
        """Run alone next; after so many deaths while alone, be buried."""
        self.apart = f"suspect {self.id}"
        self.is_suspect, self.crashes = True, deaths
        if deaths >= crash_limit:
            self.buried = f"its process died {deaths} times while it ran alone: {reason}"


@dataclass(frozen=True, slots=True)
class Batching:
    """How batches are bounded, how long one may run, and when patience ends."""

    bounds: Mapping[str, Bounds]
    seconds: Mapping[str, float]
    crash_limit: int
    busy_hold_seconds: float
    #: The most jobs, and bytes of them, that may wait here for locked targets; what is more is
    #: held in PostgreSQL.
    parked_jobs: int
    parked_bytes: int
    #: How long jobs wait for company although a child is free.
    linger_seconds: float = 0.0
    #: Of whose jobs some take long: never all children at once, if there are several.
    tasks_that_may_take_long: Collection[str] = ()
