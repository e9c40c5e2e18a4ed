"""Batches shrink when PostgreSQL keeps running out of time, and grow again."""

from worker.accumulate import Bounds
from worker.bounds import BatchBounds

MOST = Bounds(jobs=1000, rows=20_000, size_bytes=1_000_000)


def test_one_timeout_changes_nothing() -> None:
    """A single timeout may be anybody's lock."""
    bounds = BatchBounds(MOST)

    bounds.timed_out()

    assert MOST == bounds.now


def test_repeated_timeouts_halve_the_bound() -> None:
    """From the second in a row on, each halves the jobs of a batch, down to one."""
    bounds = BatchBounds(MOST)

    seen = []
    for _ in range(14):
        bounds.timed_out()
        seen.append(bounds.now.jobs)

    assert [1000, 500, 250, 125, 62, 31, 15, 7, 3, 1, 1, 1, 1, 1] == seen


def test_success_brings_the_bound_back() -> None:
    """Each batch in time doubles it, never above what was set."""
    bounds = BatchBounds(MOST)
    for _ in range(4):
        bounds.timed_out()

    seen = []
    for _ in range(5):
        bounds.went_well()
        seen.append(bounds.now.jobs)

    assert [250, 500, 1000, 1000, 1000] == seen


def test_a_success_ends_the_row() -> None:
    """Timeouts with successes between them are not repeated ones."""
    bounds = BatchBounds(MOST)

    for _ in range(5):
        bounds.timed_out()
        bounds.went_well()

    assert MOST == bounds.now


def test_long_batch_halves_the_bound() -> None:
    """One that took too long is enough, and the next in time brings the bound back."""
    bounds = BatchBounds(MOST)

    bounds.took_long()
    after = bounds.now.jobs
    bounds.went_well()

    assert (500, MOST) == (after, bounds.now)


def test_what_came_back_was_too_much() -> None:
    """Batches take twice what was done of the last one, and grow again when nothing comes back."""
    bounds = BatchBounds(MOST)

    seen = []
    for done in (30, 200, 0):
        bounds.came_back(done)
        seen.append(bounds.now.jobs)
    bounds.went_well()

    assert [60, 60, 1, 2] == [*seen, bounds.now.jobs]
