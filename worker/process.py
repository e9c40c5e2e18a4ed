"""The life of one child process: opened after the fork, then one batch at a time."""

import gc
from collections.abc import Mapping
from typing import Any

from tasks.kind import Kind
from worker.attempt import attempt
from worker.child import Child, Plan, open_child
from worker.delivery import Answer, Parcel
from worker.postpone import postpone
from worker.waiting import POSTPONED

#: New objects until Python looks for garbage in cycles; more than a large batch makes.
_GC_THRESHOLD = 100_000

#: Of this process alone: the main process never has one, a forked child opens its own.
_child: Child | None = None


def open_process(plan: Plan, kinds: Mapping[str, Kind[Any]]) -> None:
    """Open what this process works with. Called once, in the child, after the fork."""
    global _child  # noqa: PLW0603 - one a process, like the process itself
    _child = open_child(plan, kinds)
    # What was imported lives as long as the process; collecting over it is wasted work.
    gc.freeze()
    # A batch makes thousands of objects and no cycles: they go when it is done.
    gc.set_threshold(_GC_THRESHOLD)


def close_process() -> None:
    """Close the connections; PostgreSQL undoes what was open."""
    if _child is not None:
        _child.close()


def run_batch(parcel: Parcel) -> Answer:
    """Settle a batch; what the pool calls in a child."""
    if _child is None:
        raise RuntimeError("this process was not opened: batches run in prefork children only")
    if parcel.task == POSTPONED:
        return postpone(parcel, _child)
    return attempt(parcel, _child)
