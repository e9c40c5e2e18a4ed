"""Which jobs of a target are in trouble, in few tries."""

from collections.abc import Collection, Sequence

import pytest

from tasks.troubled import find_troubled

JOBS = [f"job-{n}" for n in range(1_000)]


def search(guilty: Collection[str]) -> tuple[Collection[str], int]:
    """Return what is found, and how many tries were refused."""
    refused = 0

    def is_in_trouble(jobs: Sequence[str]) -> bool:
        nonlocal refused
        refused += any(job in guilty for job in jobs)
        return any(job in guilty for job in jobs)

    return find_troubled(JOBS, is_in_trouble), refused


@pytest.mark.parametrize(
    "guilty", [{"job-0"}, {"job-999"}, {"job-0", "job-500"}, {"job-77"}, set()]
)
def test_few_are_found(guilty: set[str]) -> None:
    """Those alone, wherever they stand."""
    found, _ = search(guilty)

    assert guilty == found


@pytest.mark.parametrize(("guilty", "most"), [(JOBS, 3), (JOBS[1:], 30), (JOBS[::3], 30)])
def test_many_are_not_looked_for(guilty: Sequence[str], most: int) -> None:
    """Then it is the target: that is known soon."""
    found, refused = search(frozenset(guilty))

    assert (frozenset(), True) == (found, refused <= most)
