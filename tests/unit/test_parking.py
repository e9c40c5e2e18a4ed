"""How many jobs may wait here for locks, and for how long."""

import pytest

from celeriac import contract
from worker.delivery import Fate
from worker.parking import Parking
from worker.waiting import Waiting

PATIENCE_SECONDS = 60.0


def job(size_bytes: int, lane: str = "target t") -> Waiting:
    """Make a job that waits in a lane."""
    return Waiting("id", "task", b"x" * size_bytes, wants_result=False, apart=lane)


@pytest.mark.parametrize(("sizes", "has_room"), [([1, 1], True), ([1, 1, 1], False), ([10], False)])
def test_parked_jobs_are_bounded_by_number_and_bytes(sizes: list[int], has_room: bool) -> None:
    """What is over either bound is held in PostgreSQL."""
    parking = Parking(most_jobs=3, most_bytes=10, patience_seconds=PATIENCE_SECONDS)

    for size in sizes:
        parking.park(job(size), now=0.0)

    assert has_room == parking.has_room
    assert has_room == parking.may_wait(job(1), now=0.0)


def test_jobs_that_leave_make_room() -> None:
    """A lane that is tried again, and one that is forgotten, take nothing any more."""
    parking = Parking(most_jobs=9, most_bytes=10, patience_seconds=PATIENCE_SECONDS)
    parking.park(job(10, "target a"), now=0.0)

    left = parking.leave("target a")
    room_after_leaving = parking.has_room
    parking.park(left[0], now=0.0)
    parking.clear()

    assert (1, True, True) == (len(left), room_after_leaving, parking.has_room)


def test_reports_wait_with_no_target() -> None:
    """Rows and files of one target wait together; a report of that name does not."""
    lanes = {}
    for task in (contract.INGEST, contract.INGEST_FILE, contract.REPORT):
        one = Waiting("id", task, b"x", wants_result=False, subject="flights")
        one.set_apart(Fate.LATER)
        lanes[task] = one.apart

    assert lanes[contract.INGEST] == lanes[contract.INGEST_FILE]
    assert lanes[contract.INGEST] != lanes[contract.REPORT]


def test_patience_counts_from_the_first_time() -> None:
    """A job that was tried again and again is held when its time is over."""
    parking = Parking(most_jobs=9, most_bytes=10, patience_seconds=PATIENCE_SECONDS)
    one = job(1)
    parking.park(one, now=0.0)
    (again,) = parking.leave("target t")
    parking.park(again, now=6.0)

    assert parking.may_wait(again, now=9.9)
    assert not parking.may_wait(again, now=PATIENCE_SECONDS)
