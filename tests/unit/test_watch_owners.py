"""Who counts as silent, decided from stamps and our own clock alone."""

from collections.abc import Sequence

import pytest

from worker.transport.keys import lease_seconds_of, new_owner
from worker.transport.watch import Watch

LEASE_SECONDS = 15.0
THIRD = LEASE_SECONDS / 3


@pytest.fixture
def watch() -> Watch:
    """A watch of the owner "ours"."""
    return Watch(LEASE_SECONDS, "ours")


def silent(watch: Watch, looks: Sequence[tuple[float, dict[str, float]]]) -> list[list[str]]:
    """Look several times, each at a moment and at what is seen then."""
    return [watch.look(stamps, now) for now, stamps in looks]


def test_silent_after_a_whole_lease(watch: Watch) -> None:
    """A stamp that stays the same through a lease of watching tells of a dead owner."""
    found = silent(watch, [(100 + n * THIRD, {"other": 7.0}) for n in range(5)])

    assert [[], [], [], ["other"], ["other"]] == found


def test_a_changed_stamp_begins_anew(watch: Watch) -> None:
    """An owner that renewed once, however late, has a whole lease again."""
    stamps = [7.0, 7.0, 7.0, 8.0, 8.0, 8.0, 8.0]

    found = silent(watch, [(n * THIRD, {"other": stamp}) for n, stamp in enumerate(stamps)])

    assert [[]] * 6 + [["other"]] == found


@pytest.mark.parametrize("step", [-3_600_000.0, 1.0, 3_600_000.0])
def test_clocks_do_not_matter(watch: Watch, step: float) -> None:
    """Stamps that jump to any side, from any clock, are signs of life and nothing else."""
    found = silent(watch, [(n * THIRD, {"other": 1e12 + n * step}) for n in range(20)])

    assert [[]] * 20 == found


def test_never_our_own(watch: Watch) -> None:
    """Our own stamp may be as old as it likes."""
    found = silent(watch, [(n * THIRD, {"ours": 7.0}) for n in range(10)])

    assert [[]] * 10 == found


def test_each_owner_by_itself(watch: Watch) -> None:
    """Of several owners, the one that came into sight first falls silent first."""
    first = {"first": 1.0}
    both = {"first": 1.0, "second": 2.0}

    found = silent(watch, [(0, first), (5, both), (10, both), (15, both), (20, both)])

    assert [[], [], [], ["first"], ["first", "second"]] == found


def test_forgetting_begins_anew(watch: Watch) -> None:
    """After a lost connection even an old stamp has a whole lease again."""
    silent(watch, [(n * THIRD, {"other": 7.0}) for n in range(3)])

    watch.forget()

    found = silent(watch, [(100 + n * THIRD, {"other": 7.0}) for n in range(4)])
    assert [[], [], [], ["other"]] == found


def test_an_owner_that_went_and_came_begins_anew(watch: Watch) -> None:
    """An owner that was gone in between is a new one, whatever its stamp."""
    silent(watch, [(n * THIRD, {"other": 7.0}) for n in range(3)])

    found = silent(watch, [(15, {}), (20, {"other": 7.0}), (25, {"other": 7.0})])

    assert [[], [], []] == found


def test_time_slept_through_is_no_watching(watch: Watch) -> None:
    """A machine that stood still, and its workers with it, takes none of them for dead."""
    stamps = {"other": 7.0}

    found = silent(watch, [(0, stamps), (5, stamps), (3605, stamps), (3610, {"other": 8.0})])

    assert [[], [], [], []] == found


def test_slow_looks_still_find_the_dead(watch: Watch) -> None:
    """One who never gets to look more often finds a dead owner nevertheless, only later."""
    found = silent(watch, [(n * 60.0, {"other": 7.0}) for n in range(4)])

    assert [[], [], ["other"], ["other"]] == found


@pytest.mark.parametrize("lease", ["60", "22.5"])
def test_an_owner_with_a_longer_lease_has_it(watch: Watch, lease: str) -> None:
    """Who renews more rarely than we do is left alone until its own lease is over."""
    owner = f"host:1:abc:{lease}s"
    looks = [(n * THIRD, {owner: 7.0}) for n in range(20)]

    found = silent(watch, looks)

    silent_at = [now for (now, _), owners in zip(looks, found, strict=True) if owners]
    assert THIRD > silent_at[0] - float(lease) >= 0


def test_an_owner_with_a_shorter_lease_is_seen_twice_at_least(watch: Watch) -> None:
    """What one of our long looks passes over is not counted as its silence: all may have slept."""
    owner = "host:1:abc:1.5s"

    found = silent(watch, [(n * THIRD, {owner: 7.0}) for n in range(4)])

    assert [[], [], [owner], [owner]] == found


@pytest.mark.parametrize("lease", [1, 1.5, 15, 3600])
def test_an_owners_name_tells_its_lease(lease: float) -> None:
    """What is put into a name is read from it, whatever the host is called."""
    assert lease == lease_seconds_of(new_owner("host:9s", 4711, lease))


@pytest.mark.parametrize("owner", ["ours", "host:1:abc", "host:1:abc:-5s", "host:1:abc:nans", "5s"])
def test_a_name_that_tells_none(owner: str) -> None:
    """Owners of other versions get the lease of whoever watches them."""
    assert lease_seconds_of(owner) is None
