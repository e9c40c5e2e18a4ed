"""Tell which records of a chunk the numbers of its staged rows mean."""

from collections.abc import Sequence
from itertools import filterfalse

from postgres.errors import Phase, Refused
from postgres.insert_rows import KEPT_OUT


def staged_places(
    unreadable: Sequence[int], broken: Sequence[int], last_number: int, records: int
) -> list[int]:
    """Return the places of unreadable and broken records, in order.

    ``broken`` are numbers that COPY gave from 1 on, ``last_number`` the last one
    it gave. Some servers spend a number on a record that they leave out, others
    do not: the last one tells which. Raises :class:`Refused` if it tells neither,
    since a wrong place would set a good row aside.
    """
    left_out = frozenset(unreadable)
    taken = list(filterfalse(left_out.__contains__, range(records)))
    if last_number == len(taken):
        found = [taken[number - 1] for number in broken]
    elif taken and last_number == taken[-1] + 1 and left_out.isdisjoint(n - 1 for n in broken):
        found = [number - 1 for number in broken]
    else:
        words = f"{len(taken)} records went in, the last one as number {last_number} of {records}"
        raise Refused(words, sqlstate=KEPT_OUT, phase=Phase.ROWS)
    return sorted([*unreadable, *found])
