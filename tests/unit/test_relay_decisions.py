"""What a relay decides, without servers: which epochs to close, and from where to look."""

from datetime import UTC, datetime, timedelta

import pytest

from postgres.relay import Epoch
from worker.relay.horizon import OVERLAP, Horizon
from worker.relay.judge import SILENT_SECONDS, must_close
from worker.relay.memory import Seen

START = datetime(2026, 1, 1, tzinfo=UTC)


def epoch(
    name: str = "theirs",
    relay: str = "other",
    claimed: int = 7,
    remembered: int | None = None,
    *,
    is_closed: bool = False,
    silent_seconds: float = 0.0,
) -> Epoch:
    """Return what PostgreSQL says of an epoch, that of a living relay unless told otherwise."""
    return Epoch(name, relay, claimed, remembered, is_closed, silent_seconds)


@pytest.mark.parametrize(
    ("known", "seen", "expected"),
    [
        (epoch(), Seen(7, False), False),
        (epoch(), Seen(8, False), False),  # pushed after PostgreSQL was asked
        (epoch(), Seen(6, False), False),  # its push is on its way
        (epoch(), Seen(5, False), True),  # only one can be
        (epoch(), None, True),
        (epoch(), Seen(7, True), True),
        (epoch(silent_seconds=SILENT_SECONDS + 1), Seen(7, False), True),
        (epoch(is_closed=True), Seen(7, True), True),  # whoever closed it died over it
        (epoch("mine", "me"), Seen(7, False), False),
        (epoch("mine", "me", silent_seconds=99), Seen(7, False), False),
        (epoch("mine", "me"), Seen(6, False), True),  # none of ours is on its way
        (epoch("mine", "me"), Seen(7, True), True),
        (epoch("mine", "me"), None, True),
        (epoch("given up", "me"), Seen(7, False), True),
        (epoch(remembered=5, is_closed=True), Seen(5, True), False),
        (epoch(remembered=5, is_closed=True), Seen(4, True), True),
        (epoch(remembered=5, is_closed=True), Seen(5, False), True),
        (epoch(remembered=5, is_closed=True), None, True),
        (epoch(remembered=0, is_closed=True), Seen(0, True), False),
    ],
)
def test_epoch_is_closed(known: Epoch, seen: Seen | None, expected: bool) -> None:
    """An epoch is closed when Redis forgot of it, or when its relay is gone; never otherwise."""
    decision = must_close(known, seen, "me", "mine")

    assert expected == decision


def test_first_look_is_from_the_start() -> None:
    """Nothing is known before the first look."""
    assert Horizon().since(0.0) is None


def test_next_look_is_from_where_the_last_ended() -> None:
    """What is committed a little late is seen all the same."""
    horizon = Horizon()
    horizon.since(0.0)

    horizon.looked(START, 0.0, 0.01)

    assert START - OVERLAP == horizon.since(0.1)


def test_whole_looks_come_again_and_again() -> None:
    """Within a second everything is looked at from the start, whatever its time."""
    horizon = Horizon()
    horizon.since(0.0)
    horizon.looked(START, 0.0, 0.01)
    horizon.since(0.1)
    horizon.looked(START + timedelta(seconds=1), 0.1, 0.11)

    assert (START - OVERLAP + timedelta(seconds=1)) == horizon.since(0.4)
    assert horizon.since(1.0) is None


def test_slow_whole_looks_take_a_share_of_the_time() -> None:
    """Where dead rows make a whole look slow, it is taken less often."""
    horizon = Horizon()
    horizon.since(0.0)

    horizon.looked(START, 0.0, 2.0)

    assert START - OVERLAP == horizon.since(30.0)
    assert horizon.since(45.0) is None


def test_reset_looks_from_the_start() -> None:
    """Old jobs that are due again are found at once."""
    horizon = Horizon()
    horizon.since(0.0)
    horizon.looked(START, 0.0, 0.01)

    horizon.reset()

    assert horizon.since(0.02) is None
