"""How long to wait before trying again: pure, so that a table can test it."""

_FIRST_SECONDS = 0.25
_LONGEST_SECONDS = 15.0

#: How often a batch is tried again at once after a collision with somebody else's.
COLLISIONS = 4


def backoff_seconds(attempt: int, jitter: float) -> float:
    """Return the pause after the ``attempt``-th failure in a row, counted from 1.

    Doubles up to a limit; ``jitter`` in [0, 1) spreads workers over the upper
    half, so that they do not return in step ("Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015: equal jitter).
    """
    ceiling = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(attempt - 1, 16))
    return ceiling / 2 + jitter * ceiling / 2


def collision_seconds(attempt: int, jitter: float) -> float:
    """Return the pause before a batch that collided is tried again in the child."""
    return 0.02 * attempt * (1 + jitter)
