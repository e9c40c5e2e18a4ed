"""A staged row's number leads back to its record, however the server numbers them."""

import pytest

from postgres.errors import Refused
from postgres.staged_places import staged_places

RECORDS = 6
UNREADABLE = [0, 3]


@pytest.mark.parametrize(
    ("broken", "last_number"),
    [([2, 4], 4), ([3, 6], 6)],
    ids=["readable ones are numbered", "all are numbered"],
)
def test_numbers_lead_to_places(broken: list[int], last_number: int) -> None:
    """Records that were left out are skipped, whether they were given numbers or not."""
    found = staged_places(UNREADABLE, broken, last_number, RECORDS)

    assert [0, 2, 3, 5] == found


def test_last_left_out_makes_no_difference() -> None:
    """If only the last records were left out both ways of numbering mean the same."""
    assert [1, 4, 5] == staged_places([4, 5], [2], 4, RECORDS)


@pytest.mark.parametrize(("broken", "last_number"), [([2], 5), ([4], 6)])
def test_unclear_numbers_are_refused(broken: list[int], last_number: int) -> None:
    """Numbers that fit neither way of numbering are not guessed at."""
    with pytest.raises(Refused, match="4 records went in"):
        staged_places(UNREADABLE, broken, last_number, RECORDS)
