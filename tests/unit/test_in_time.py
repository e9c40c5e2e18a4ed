"""What computes past its time is ended, and nothing else."""

import pytest

from tasks.reports.in_python.in_time import OutOfTime, in_time


def test_loop_is_ended_once() -> None:
    """It is raised in the loop; what runs after that is left alone."""
    with pytest.raises(OutOfTime), in_time(0.01):
        while True:
            pass

    with in_time(60.0):
        steps = sum(1 for _ in range(100_000))
    assert 100_000 == steps
