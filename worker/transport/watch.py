"""Decide who has fallen silent, by our own clock and our own watching alone."""

from collections.abc import Mapping

from worker.transport.keys import lease_seconds_of


class Watch:
    """Tell the owners whose stamp did not change for a whole lease of theirs, as seen from here.

    Leases may differ: an owner's name tells its own, else ours counts. Stamps
    are compared for equality only, so no two clocks need to agree. A moment
    that we slept through ourselves does not count as watching: whoever stood
    still together with us had no chance to renew.
    """

    def __init__(self, lease_seconds: float, owner: str) -> None:
        self._lease_seconds = lease_seconds
        self._owner = owner
        self._looked_at: float | None = None
        #: The stamp of each other owner, and for how many seconds we have seen it unchanged.
        self._seen: dict[str, tuple[float, float]] = {}

    def look(self, stamps: Mapping[str, float], now: float) -> list[str]:
        """Return those that are silent for a whole lease; never our own owner."""
        gap = 0.0 if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        self._seen = {
            owner: (stamp, self._unchanged_seconds(owner, stamp, gap))
            for owner, stamp in stamps.items()
            if owner != self._owner
        }
        return [
            owner
            for owner, (_, seconds) in self._seen.items()
            if seconds >= self._lease_seconds_of(owner)
        ]

    def forget(self) -> None:
        """Begin anew: for a while nobody could renew, or we could not see who did."""
        self._looked_at = None
        self._seen = {}

    def _unchanged_seconds(self, owner: str, stamp: float, gap: float) -> float:
        before = self._seen.get(owner)
        if before is None or before[0] != stamp:
            return 0.0
        # Looks come three in a lease, and so do renewals; longer than this between two, we were
        # not watching, or the owner was not due.
        longest_gap = min(self._lease_seconds, self._lease_seconds_of(owner)) / 2
        return before[1] + min(gap, longest_gap)

    def _lease_seconds_of(self, owner: str) -> float:
        return lease_seconds_of(owner) or self._lease_seconds
