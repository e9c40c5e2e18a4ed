"""What a child is told of the jobs of its batch."""

import time
from datetime import UTC, datetime

from worker.batch import parcel_of
from worker.waiting import Waiting

AGO_SECONDS = 5.0


def test_jobs_that_may_take_long_say_how_long_ago_they_came() -> None:
    """A run that began since then answers them; of all others there is nothing to say."""
    timed = Waiting("a", "task", b"", wants_result=False, came_at=time.monotonic() - AGO_SECONDS)
    plain = Waiting("b", "task", b"", wants_result=False)

    parcel = parcel_of([timed, plain], datetime.now(UTC), (), lambda _: True)

    assert [0] == list(parcel.remarks)
    assert parcel.remarks[0].aside_seconds >= AGO_SECONDS
    assert 0.0 == parcel.remarks[0].waited_seconds
