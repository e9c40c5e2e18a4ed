"""How long to wait: longer each time, up to a limit, never all at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.retry import COLLISIONS, backoff_seconds, collision_seconds

attempts = st.integers(min_value=1, max_value=10**6)
jitters = st.floats(min_value=0, max_value=1, exclude_max=True)


@pytest.mark.parametrize(
    ("attempt", "least", "most"),
    [
        (1, 0.125, 0.25),
        (2, 0.25, 0.5),
        (3, 0.5, 1.0),
        (6, 4.0, 8.0),
        (7, 7.5, 15.0),
        (8, 7.5, 15.0),
        (10_000, 7.5, 15.0),
    ],
)
def test_pause_doubles_up_to_a_limit(attempt: int, least: float, most: float) -> None:
    """Each pause lies between half of its ceiling and the ceiling."""
    pauses = (backoff_seconds(attempt, 0.0), backoff_seconds(attempt, 1.0))

    assert (least, most) == pauses


@given(attempts, jitters)
def test_pause_is_bounded_for_every_attempt(attempt: int, jitter: float) -> None:
    """However long an outage lasts, the next try is near and never immediate."""
    pause = backoff_seconds(attempt, jitter)

    assert 0.125 <= pause <= 15.0


@given(attempts, jitters, jitters)
def test_jitter_spreads_workers(attempt: int, one: float, other: float) -> None:
    """More jitter is a longer pause, so that workers do not return in step."""
    earlier, later = sorted((one, other))

    pauses = backoff_seconds(attempt, earlier), backoff_seconds(attempt, later)

    assert pauses == tuple(sorted(pauses))


def test_collisions_are_short() -> None:
    """All pauses between collisions together stay below half a second."""
    longest = [collision_seconds(attempt, 1.0) for attempt in range(1, COLLISIONS)]

    assert longest == sorted(longest)
    assert 0 < sum(longest) < 0.5
