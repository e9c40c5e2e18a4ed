"""Find the few jobs of a target that bring about trouble which looks like the server's. Pure."""

from collections.abc import Callable, Sequence

#: Pieces that may be refused before the search is given up: each may wait for another server.
_MOST_REFUSALS = 24


def find_troubled(
    jobs: Sequence[str], is_in_trouble: Callable[[Sequence[str]], bool]
) -> frozenset[str]:
    """Return the jobs that are in trouble alone; none, if it seems to be all, or too many to tell.

    ``is_in_trouble`` tries jobs together. The first, the middle one and the last
    tell by themselves whether the target is closed to everybody, as by a full disk.
    """
    samples = dict.fromkeys((jobs[0], jobs[len(jobs) // 2], jobs[-1]))
    if all(is_in_trouble([job]) for job in samples):
        return frozenset()
    found: set[str] = set()
    refusals, pieces = 0, [jobs]
    while pieces:
        piece = pieces.pop()
        if not is_in_trouble(piece):
            continue
        refusals += 1
        if refusals > _MOST_REFUSALS:
            return frozenset()
        half = len(piece) // 2
        if half:
            pieces += [piece[:half], piece[half:]]
        else:
            found.update(piece)
    return frozenset(found)
