"""Choose the jobs whose events are sent: all of them, up to a number in any second.

Flower and whoever else listens keep up with a thousand or so a second. Beyond
that some jobs are shown whole and the others not at all, by a hash of the id:
every worker chooses the same way.
"""

from collections import deque
from zlib import crc32

_SECOND = 1.0
_HASHES = 2**32


class Sampler:
    """Chooses among the jobs that one worker reserves; for the main loop alone.

    In any second no more than ``most_per_second`` jobs are shown, and all of
    them if no more than that came.
    """

    def __init__(self, most_per_second: int) -> None:
        self._most = most_per_second
        # What came within the last second: when, how many jobs, how many of them shown.
        self._arrivals: deque[tuple[float, int, int]] = deque()
        self._jobs = 0
        self._shown = 0

    def choose(self, ids: list[str], now: float) -> list[bool]:
        """Say of each job that came now, by a clock that never goes back, whether to show it."""
        self._forget_before(now - _SECOND)
        jobs = self._jobs + len(ids)
        left = self._most - self._shown
        if jobs <= self._most:
            chosen = [True] * len(ids)
        elif left <= 0 or not ids:
            chosen = [False] * len(ids)
        else:
            # Even over the second by its share, and never more than is left, however ids fall.
            share = min(self._most / jobs, left / len(ids))
            chosen = _first([shows(id_, share) for id_ in ids], left)
        self._remember(now, len(ids), sum(chosen))
        return chosen

    def _forget_before(self, start: float) -> None:
        while self._arrivals and self._arrivals[0][0] <= start:
            _, jobs, shown = self._arrivals.popleft()
            self._jobs -= jobs
            self._shown -= shown

    def _remember(self, now: float, jobs: int, shown: int) -> None:
        self._arrivals.append((now, jobs, shown))
        self._jobs += jobs
        self._shown += shown


def shows(id_: str, share: float) -> bool:
    """Tell whether a job is among this share of all jobs."""
    return crc32(id_.encode("utf-8", "surrogatepass")) < share * _HASHES


def _first(chosen: list[bool], most: int) -> list[bool]:
    """Keep the first so many."""
    if sum(chosen) <= most:
        return chosen
    kept = 0
    for place, is_chosen in enumerate(chosen):
        kept += is_chosen
        if kept > most:
            chosen[place] = False
    return chosen
