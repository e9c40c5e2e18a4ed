"""Where to look for due jobs: from where the last look ended, and now and then from the start.

What was claimed leaves dead versions behind, which every look from the start
has to pass for as long as some transaction of the server may still see them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

#: A job enqueued in a transaction that took longer than this waits for the next whole look.
OVERLAP = timedelta(seconds=2)
#: At most one second behind; and whole looks that take long may not take all the time.
WHOLE_LOOK_SECONDS = 0.5
_SHARE = 20


@dataclass(slots=True)
class Horizon:
    """Decides from which due time on the next claim looks; times are PostgreSQL's."""

    _since: datetime | None = None
    _whole_look_at: float = 0.0
    _is_whole: bool = True

    def since(self, now: float) -> datetime | None:
        """Return where to begin; None for the very start."""
        self._is_whole = self._since is None or now >= self._whole_look_at
        return None if self._is_whole else self._since

    def looked(self, newest: datetime, started: float, now: float) -> None:
        """Note that all that was due until ``newest`` has been seen."""
        self._since = newest - OVERLAP
        if self._is_whole:
            self._whole_look_at = now + max(WHOLE_LOOK_SECONDS, _SHARE * (now - started))

    def reset(self) -> None:
        """Look from the start: old jobs are due again."""
        self._since = None
