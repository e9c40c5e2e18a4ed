"""How far whole records reach."""

from typing import NamedTuple

_FEW_BYTES = 1 << 10


class Cut(NamedTuple):
    """The extent of whole records at the beginning of some data, and how many they are."""

    size: int
    records: int
    #: Line ends in it, those inside quotes too.
    lines: int


NOTHING = Cut(0, 0, 0)


def end_of_line(data: bytes, newline: bytes, lines: int) -> int:
    """Return how far so many lines reach; data has at least so many."""
    low, high = 0, len(data)
    # Halved by counting, since counting is far faster than looking for one after the other.
    while high - low > _FEW_BYTES:
        middle = (low + high) // 2
        count = data.count(newline, low, middle)
        if count >= lines:
            high = middle
        else:
            low, lines = middle, lines - count
    for _ in range(lines):
        low = data.index(newline, low) + 1
    return low
