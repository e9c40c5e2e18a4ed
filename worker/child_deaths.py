"""Notice at once that a child ended, also if it is still ending when its pipe closes.

The kernel closes the files of a dying process a moment before anybody can
ask how it ended. Celery asks once, when the pipe that tells of the end
closes, and then not before its next round, up to five seconds later. Until
then nobody runs the jobs that the child had.
"""

from typing import Any

_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 1.0


class ChildDeaths:
    """Celery's pool asks again, until a child that fell silent is gone."""

    def __init__(self) -> None:
        self._pool: Any = None

    def attach(self, hub: Any, pool: Any) -> None:
        """Make the pool ask again; a second call for the same pool does nothing."""
        if pool is self._pool:
            return
        self._pool = pool
        maintain = pool.maintain_pool

        def maintain_until_gone(pause_seconds: float = _FIRST_PAUSE_SECONDS) -> None:
            maintain()
            if any(_fell_silent(child) for child in pool._pool):  # noqa: SLF001 - see the contract test
                longer = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)
                hub.call_later(pause_seconds, maintain_until_gone, longer)

        # Celery looks it up anew whenever the pipe of a child closes.
        pool.maintain_pool = maintain_until_gone


def _fell_silent(child: Any) -> bool:
    """Whether its pipe closed: Celery watches that no more, and the child is there yet."""
    return hasattr(child, "_sentinel_poll") and child._sentinel_poll is None  # noqa: SLF001 - the same
