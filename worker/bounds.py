"""How large a batch may be just now: less after one took too long, more as that passes.

Pure. A bound that is too large for a slow hour would time out for ever; one
that stays small would never come back.
"""

from dataclasses import dataclass, field, replace

from worker.accumulate import Bounds

#: A batch that took more of its time than this leaves too little for one that is worse.
TOO_LONG = 0.25

#: A single timeout may be anybody's lock; from so many in a row on, batches shrink.
_TIMEOUTS_IN_A_ROW = 2


@dataclass(slots=True)
class BatchBounds:
    """The bounds of one task's batches."""

    most: Bounds
    _jobs: int = field(init=False)
    _timeouts: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._jobs = self.most.jobs

    @property
    def now(self) -> Bounds:
        """The bounds of the next batch."""
        return self.most if self._jobs == self.most.jobs else replace(self.most, jobs=self._jobs)

    def timed_out(self) -> None:
        """Note a batch in which statements ran out of time: repeated, it halves the bound."""
        self._timeouts += 1
        if self._timeouts >= _TIMEOUTS_IN_A_ROW:
            self._jobs = max(1, self._jobs // 2)

    def ran_out(self) -> None:
        """Note a batch that took longer than a batch may: it halves the bound at once."""
        self._timeouts = _TIMEOUTS_IN_A_ROW
        self._jobs = max(1, self._jobs // 2)

    def took_long(self) -> None:
        """Note a batch that took a good part of the time that it may: it halves the bound."""
        self._timeouts = 0
        self._jobs = max(1, self._jobs // 2)

    def came_back(self, done: int) -> None:
        """Note a batch of which jobs came back that were not begun: too many for now."""
        self._jobs = max(1, min(self._jobs, 2 * done))

    def went_well(self) -> None:
        """Note a batch that ended in time: the bound doubles until it is whole again."""
        self._timeouts = 0
        self._jobs = min(self.most.jobs, self._jobs * 2)
