"""Gathering jobs into batches: within bounds, in order, nothing lost, nobody starved."""

from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker.accumulate import Accumulator, Bounds


@dataclass(frozen=True, slots=True)
class Parcel:
    """A job as the accumulator sees it, with a number to know it again."""

    number: int
    lane: tuple[str, str]
    rows: int
    size_bytes: int


lanes = st.sampled_from([("ingest", ""), ("ingest", "locked"), ("report", ""), ("raw", "")])
parcels = st.lists(
    st.builds(Parcel, st.just(0), lanes, st.integers(0, 30), st.integers(0, 300)), max_size=60
).map(
    lambda found: [
        Parcel(number, one.lane, one.rows, one.size_bytes) for number, one in enumerate(found)
    ]
)
bounds = st.builds(Bounds, st.integers(1, 8), st.integers(1, 40), st.integers(1, 400))


def filled(found: list[Parcel]) -> Accumulator[Parcel]:
    """Put all parcels in, in their order."""
    accumulator: Accumulator[Parcel] = Accumulator()
    for one in found:
        accumulator.add(one)
    return accumulator


def drained(accumulator: Accumulator[Parcel], limits: Bounds) -> list[list[Parcel]]:
    """Take batches until nothing is left."""
    batches = []
    while len(accumulator):
        batches.append(accumulator.take(limits))
    return batches


@given(parcels, bounds)
def test_bounds_hold(found: list[Parcel], limits: Bounds) -> None:
    """No batch exceeds a bound, unless it is a single job that does so alone."""
    batches = drained(filled(found), limits)

    for batch in batches:
        rows, size = sum(one.rows for one in batch), sum(one.size_bytes for one in batch)
        fits = rows <= limits.rows and size <= limits.size_bytes
        assert len(batch) <= limits.jobs
        assert fits or len(batch) == 1


@given(parcels, bounds)
def test_batches_are_filled(found: list[Parcel], limits: Bounds) -> None:
    """A batch ends only where the next job of its lane would exceed a bound."""
    following: dict[tuple[str, str], list[Parcel]] = defaultdict(list)
    batches = drained(filled(found), limits)
    for batch in batches:
        following[batch[0].lane].append(batch[0])

    for batch in batches:
        later = [one for one in following[batch[0].lane] if one.number > batch[-1].number]
        if later:
            more = [*batch, later[0]]
            rows, size = sum(one.rows for one in more), sum(one.size_bytes for one in more)
            over = rows > limits.rows or size > limits.size_bytes
            assert len(batch) == limits.jobs or over


@given(parcels, bounds)
def test_nothing_is_forgotten_or_doubled(found: list[Parcel], limits: Bounds) -> None:
    """What goes in comes out, once."""
    batches = drained(filled(found), limits)

    taken = [one for batch in batches for one in batch]
    assert Counter(found) == Counter(taken)


@given(parcels, bounds)
def test_lanes_keep_their_order(found: list[Parcel], limits: Bounds) -> None:
    """A batch is of one lane, and a lane's jobs leave in the order they came."""
    batches = drained(filled(found), limits)

    left: dict[tuple[str, str], list[Parcel]] = defaultdict(list)
    for batch in batches:
        assert {batch[0].lane} == {one.lane for one in batch}
        left[batch[0].lane] += batch
    for lane, jobs in left.items():
        assert [one for one in found if one.lane == lane] == jobs


@given(parcels, bounds)
def test_lanes_take_turns(found: list[Parcel], limits: Bounds) -> None:
    """Between two batches of one lane, every other lane that waits is served."""
    served = [batch[0].lane for batch in drained(filled(found), limits)]

    for turn, lane in enumerate(served):
        if lane in served[turn + 1 :]:
            again = served.index(lane, turn + 1)
            waiting = set(served[turn + 1 :]) - {lane}
            assert waiting == set(served[turn + 1 : again])


def test_turn_is_told_before_it_is_taken() -> None:
    """The task whose turn it is, is the one that the next batch is of."""
    first, second = Parcel(0, ("report", ""), 1, 1), Parcel(1, ("ingest", ""), 1, 1)
    accumulator = filled([first, second])

    told = accumulator.next_task()
    batch = accumulator.take(Bounds(10, 10, 10))

    assert ("report", [first]) == (told, batch)
    assert "ingest" == accumulator.next_task()


@given(parcels, bounds)
def test_put_back_undoes_take(found: list[Parcel], limits: Bounds) -> None:
    """A batch put back is again the first of its lane, in its old order."""
    accumulator, expected = filled(found), drained(filled(found), limits)
    if not found:
        return

    batch = accumulator.take(limits)
    accumulator.put_back(batch)
    order: dict[tuple[str, str], list[Parcel]] = defaultdict(list)
    for one in drained(accumulator, limits):
        order[one[0].lane] += one

    assert batch == expected[0]
    for lane, jobs in order.items():
        assert [one for one in found if one.lane == lane] == jobs


def test_clear_forgets_everything() -> None:
    """Clearing says how many jobs were there and leaves none."""
    accumulator = filled([Parcel(number, ("ingest", ""), 1, 1) for number in range(3)])

    count = accumulator.clear()

    assert (3, 0, None) == (count, len(accumulator), accumulator.next_task())


class Interleaved(RuleBasedStateMachine):
    """Jobs come, leave and come back in any order; a plain list a lane says what must be."""

    def __init__(self) -> None:
        super().__init__()
        self.accumulator: Accumulator[Parcel] = Accumulator()
        self.lanes: OrderedDict[tuple[str, str], list[Parcel]] = OrderedDict()
        self.away: list[list[Parcel]] = []
        self.number = 0

    @rule(lane=lanes, rows=st.integers(0, 30), size_bytes=st.integers(0, 300))
    def add(self, lane: tuple[str, str], rows: int, size_bytes: int) -> None:
        self.number += 1
        one = Parcel(self.number, lane, rows, size_bytes)
        self.accumulator.add(one)
        self.lanes.setdefault(lane, []).append(one)

    @precondition(lambda self: self.lanes)
    @rule(limits=bounds)
    def take(self, limits: Bounds) -> None:
        lane, jobs = next(iter(self.lanes.items()))
        assert lane[0] == self.accumulator.next_task()

        batch = self.accumulator.take(limits)

        assert jobs[: len(batch)] == batch
        assert 1 == len(batch) or within(batch, limits)
        assert len(batch) == len(jobs) or not within(jobs[: len(batch) + 1], limits)
        del self.lanes[lane]
        if len(batch) < len(jobs):
            self.lanes[lane] = jobs[len(batch) :]
        self.away.append(batch)

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        batch = self.away.pop(data.draw(st.integers(0, len(self.away) - 1)))
        self.accumulator.put_back(batch)
        lane = batch[0].lane
        self.lanes[lane] = batch + self.lanes.get(lane, [])

    @precondition(lambda self: self.away)
    @rule()
    def settle(self) -> None:
        self.away.pop(0)

    @precondition(lambda self: len(self.accumulator) > 20)
    @rule()
    def clear(self) -> None:
        assert sum(map(len, self.lanes.values())) == self.accumulator.clear()
        self.lanes.clear()

    @invariant()
    def holds_what_was_put_in(self) -> None:
        waiting = [one for jobs in self.lanes.values() for one in jobs]
        assert waiting == list(self.accumulator)
        assert (len(waiting), bool(waiting)) == (len(self.accumulator), bool(self.accumulator))
        if not waiting:
            assert self.accumulator.next_task() is None


def test_deferred_lanes_let_others_go_first() -> None:
    """Those that are to wait go behind; when all are, the order is as before."""
    lanes = [("report", "long"), ("report", ""), ("ingest", "")]
    found = [Parcel(number, lane, 1, 1) for number, lane in enumerate(lanes)]
    accumulator = filled(found)

    accumulator.defer(lambda one: one.lane == ("report", "long"))
    first = accumulator.next()
    accumulator.defer(lambda _: True)

    assert found[1] == first == accumulator.next()
    assert 3 == len(accumulator)


def within(jobs: list[Parcel], limits: Bounds) -> bool:
    """Whether so many jobs may leave together."""
    rows, size = sum(one.rows for one in jobs), sum(one.size_bytes for one in jobs)
    return len(jobs) <= limits.jobs and rows <= limits.rows and size <= limits.size_bytes


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
