"""Choosing whose events are sent: whole jobs, all below the cap, never more than it."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sampling import Sampler, shows

Slab = tuple[float, int]

pauses = st.floats(0, 1.5) | st.floats(0, 0.05)
slabs = st.lists(st.tuples(pauses, st.integers(0, 200)), max_size=30)
caps = st.integers(0, 400)


def arrivals(found: list[Slab]) -> Iterator[tuple[float, list[str]]]:
    """Turn pauses and sizes into times and ids, none twice."""
    now, number = 1000.0, 0
    for pause, jobs in found:
        now += pause
        yield now, [str(UUID(int=(number + one) * 2**17)) for one in range(jobs)]
        number += jobs


def busiest(marks: list[tuple[float, int]]) -> int:
    """Return the most that fell into any second that is open at its start."""
    return max(
        (sum(count for at, count in marks if end - 1 < at <= end) for end, _ in marks), default=0
    )


@given(slabs, caps)
def test_no_second_shows_more_than_the_cap(found: list[Slab], cap: int) -> None:
    """However jobs come, in bursts or in a flood, no second has more shown jobs than allowed."""
    sampler = Sampler(cap)

    shown = [(now, sum(sampler.choose(ids, now))) for now, ids in arrivals(found)]

    assert busiest(shown) <= cap


@given(slabs)
def test_below_the_cap_every_job_is_shown(found: list[Slab]) -> None:
    """Where no second brings more jobs than the cap, all are shown."""
    came = [(now, len(ids)) for now, ids in arrivals(found)]
    sampler = Sampler(busiest(came))

    shown = [sum(sampler.choose(ids, now)) for now, ids in arrivals(found)]

    assert [jobs for _, jobs in came] == shown


@given(slabs, caps)
def test_each_job_is_decided(found: list[Slab], cap: int) -> None:
    """Every job of a slab gets its answer, at its position."""
    sampler = Sampler(cap)

    for now, ids in arrivals(found):
        assert len(ids) == len(sampler.choose(ids, now))


@pytest.mark.parametrize("slab", [1, 10, 100, 1000])
def test_steady_flood_is_shown_evenly(slab: int) -> None:
    """At ten times the cap each second shows nearly the cap, and its tenths a tenth or so each."""
    sampler = Sampler(1000)
    flood = [(slab / 10_000, slab)] * (50_000 // slab)

    shown = [(now, sum(sampler.choose(ids, now))) for now, ids in arrivals(flood)]

    settled = [(now, count) for now, count in shown if now > 1002]
    tenths = [
        sum(count for now, count in settled if start <= now * 10 < start + 1)
        for start in range(10_021, 10_049)
    ]
    assert 2500 <= sum(tenths) <= 2800
    assert max(tenths) <= 250


def test_burst_after_silence_stays_below_the_cap() -> None:
    """The first second of a burst shows the cap and no more, the next ones go on so."""
    sampler = Sampler(1000)
    burst = [(0.01, 500)] * 300

    shown = [(now, sum(sampler.choose(ids, now))) for now, ids in arrivals(burst)]

    seconds = [sum(count for now, count in shown if now // 1 == at) for at in (1000, 1001, 1002)]
    assert all(900 <= count <= 1000 for count in seconds), seconds


@pytest.mark.parametrize("pattern", ["{}", "job-{}", "import:2024-05-01:{:08}", "{:x}"])
def test_share_holds_for_counted_ids(pattern: str) -> None:
    """Ids that differ by a number alone are chosen at nearly the share asked for."""
    ids = [pattern.format(number) for number in range(20_000)]

    shown = sum(shows(id_, 0.1) for id_ in ids)

    assert 1800 <= shown <= 2200


def test_greater_share_keeps_what_a_smaller_one_shows() -> None:
    """Workers under different load agree: who is shown at a small share is so at a greater one."""
    ids = [str(number) for number in range(5_000)]

    few = {id_ for id_ in ids if shows(id_, 0.05)}
    more = {id_ for id_ in ids if shows(id_, 0.2)}

    assert few <= more
    assert few


def test_full_share_shows_every_id() -> None:
    """Nobody's hash falls outside a share of one; an id may be any text that JSON can hold."""
    assert all(shows(id_, 1.0) for id_ in ["", "ä", "\ud800", "\x00", *map(str, range(2_000))])
