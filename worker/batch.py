"""A batch on its way: what was sent to which child, and when."""

import time
from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import datetime

from worker.delivery import Parcel, Remarks
from worker.request import Request
from worker.waiting import Waiting


@dataclass(slots=True, eq=False)
class Batch:
    """Jobs of one task that a child works on."""

    number: int
    jobs: list[Waiting]
    #: Whether it may keep its child for as long as its job takes.
    may_take_long: bool = False
    pid: int | None = None
    started_at: float | None = None

    @property
    def task(self) -> str:
        """The task of all its jobs."""
        return self.jobs[0].task

    @property
    def is_alone(self) -> bool:
        """Whether a death would have one suspect only."""
        return len(self.jobs) == 1

    def start(self, pid: int, at: float) -> None:
        """Note which child took it."""
        self.pid, self.started_at = pid, at
        for one in self.jobs:
            if isinstance(one.request, Request):
                one.request.on_accepted(pid, at)

    def unstart(self) -> None:
        """Take its jobs back from the running ones: they wait again."""
        for one in self.jobs:
            if isinstance(one.request, Request):
                one.request.unstart()


def parcel_of(
    jobs: list[Waiting],
    now: datetime,
    revoked: Container[str],
    may_wait: Callable[[Waiting], bool] | None,
    *,
    may_go_on: bool = True,
) -> Parcel:
    """Return what a child needs of these jobs; revocation and expiry are looked at now.

    ``may_wait`` says of a job whether it may be parked should its target be
    locked; None if none may.
    """
    remarks = {}
    clock = time.monotonic()
    for position, one in enumerate(jobs):
        if _is_ordinary(one) and may_wait and not (revoked and one.id in revoked):
            continue
        remarks[position] = Remarks(
            attempts=one.crashes + 1,
            may_wait=bool(may_wait and may_wait(one)),
            cancelled=one.cancel_reason(now, revoked),
            buried=one.buried,
            takes_long=one.takes_long,
            waited_seconds=one.waited_seconds(clock),
            aside_seconds=one.aside_seconds(clock),
            has_room=may_wait is not None,
        )
    relayed = frozenset(position for position, one in enumerate(jobs) if one.is_relayed)
    ids, bodies = [one.id for one in jobs], [one.body for one in jobs]
    return Parcel(jobs[0].task, ids, bodies, remarks, relayed, may_go_on)


def _is_ordinary(one: Waiting) -> bool:
    return (
        one.request is None
        and not one.is_suspect
        and one.buried is None
        and one.first_busy_at is None
        and one.came_at is None
        and not one.takes_long
    )
