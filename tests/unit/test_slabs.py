"""What a worker holds, and what it tells Redis of it: the bookkeeping alone."""

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker.transport.slabs import Place, Settling, Slabs, place_of


class Held(NamedTuple):
    """A job, as far as slabs are concerned."""

    slab: int
    position: int


def apply(settling: Settling, lists: dict[int, list[int]]) -> dict[int, list[int]]:
    """Do to plain lists, oldest first, what the script does to Redis; return what went back."""
    went_back: dict[int, list[int]] = {}
    for number in settling.done:
        del lists[number]
    for number, length, kept, back in settling.changed:
        messages = lists.pop(number)
        assert length == len(messages)
        went_back[number] = [messages[place] for place in back]
        if kept:
            lists[number] = [messages[place] for place in kept]
    return went_back


def test_a_slab_is_done_with_its_last_job() -> None:
    """Redis is told to drop a slab as a whole, once, when all of it is settled."""
    slabs = Slabs()
    slabs.open(1, 3)

    slabs.settle([Held(1, 0)])
    before = slabs.settling()
    slabs.settle([Held(1, 1), Held(1, 2)])

    assert not before
    assert [1] == slabs.settling().done
    assert not slabs.settling()
    assert 0 == slabs.unsettled


def test_a_slab_is_rewritten_when_half_of_it_is_settled() -> None:
    """What stays long does not keep the others' messages in Redis."""
    slabs = Slabs()
    slabs.open(1, 4)

    slabs.settle([Held(1, 0), Held(1, 2)])

    assert [(1, 4, [1, 3], [])] == slabs.settling().changed


def test_a_slab_is_not_rewritten_while_a_batch_of_it_runs() -> None:
    """Places that a note about a running batch names stay what they are."""
    slabs = Slabs()
    slabs.open(1, 4)
    parts = slabs.start([Held(1, 3)])

    slabs.settle([Held(1, 0), Held(1, 1), Held(1, 2)])
    meanwhile = slabs.settling()
    slabs.stop([Held(1, 3)])
    slabs.settle([Held(1, 3)])

    assert [(1, [3])] == parts
    assert not meanwhile
    assert [1] == slabs.settling().done


def test_places_follow_a_rewriting() -> None:
    """After a slab was rewritten its messages are found where they are now."""
    slabs = Slabs()
    slabs.open(1, 6)
    slabs.settle([Held(1, position) for position in (0, 1, 3)])
    slabs.settling()

    assert [(1, [2])] == slabs.start([Held(1, 5)])
    assert (1, 0) == slabs.place(Held(1, 2))
    assert slabs.place(Held(1, 1)) is None


def test_jobs_of_others_are_passed_over() -> None:
    """What another worker recovered is not ours to settle."""
    slabs = Slabs()
    slabs.open(1, 2)
    slabs.forget()

    slabs.settle([Held(1, 0), Held(7, 0)])

    assert not slabs.settling()
    assert 0 == slabs.unsettled
    assert not slabs.holds(Held(1, 0))


def test_closing_leaves_in_redis_what_is_unsettled() -> None:
    """A worker that ends gives back its unsettled jobs and no others."""
    slabs = Slabs()
    slabs.open(1, 3)
    slabs.open(2, 1)
    slabs.settle([Held(1, 1)])

    assert [(1, 3, [0, 2], [])] == slabs.close().changed
    assert 0 == slabs.unsettled


@given(st.integers(0, 2**53), st.integers(0, 2**31))
def test_a_delivery_tag_names_its_place(slab: int, position: int) -> None:
    """A tag made of a place is read as that place."""
    assert Place(slab, position) == place_of(Place(slab, position).tag)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_numbers_are_never_used_twice(number: int) -> None:
    """No two slabs of a worker have one number, also after it forgot everything."""
    slabs = Slabs()
    seen = {slabs.next_number() for _ in range(number)}
    slabs.forget()

    assert slabs.next_number() not in seen


MESSAGE_BYTES = 7


class Bookkeeping(RuleBasedStateMachine):
    """Whatever is reserved, run, settled and given back: Redis holds what is unsettled."""

    def __init__(self) -> None:
        super().__init__()
        self.slabs = Slabs()
        #: What Redis would hold: positions, oldest first.
        self.lists: dict[int, list[int]] = {}
        self.unsettled: set[Held] = set()
        #: The job that we have and that Redis does not have in its slab yet; it may be over.
        self.early: Held | None = None

    @rule(messages=st.integers(1, 9))
    def reserve(self, messages: int) -> None:
        """A slab comes."""
        number = self.slabs.next_number()
        self.slabs.open(number, messages, messages * MESSAGE_BYTES)
        self.lists[number] = list(range(messages))
        self.unsettled |= {Held(number, position) for position in range(messages)}

    @precondition(lambda self: self.early is None)
    @rule()
    def hand_over_early(self) -> None:
        """A lone job comes before its slab."""
        self.early = Held(self.slabs.next_number(), 0)
        self.slabs.open_early(self.early.slab, MESSAGE_BYTES)
        self.unsettled.add(self.early)

    @precondition(lambda self: self.early is not None)
    @rule(messages=st.integers(1, 4))
    def confirm_early(self, messages: int) -> None:
        """Its slab comes, perhaps with more in it."""
        assert self.early is not None
        number, self.early = self.early.slab, None
        self.slabs.confirm_early(messages, (messages - 1) * MESSAGE_BYTES)
        self.lists[number] = list(range(messages))
        self.unsettled |= {Held(number, position) for position in range(1, messages)}

    @precondition(lambda self: self.early is not None)
    @rule()
    def disown_early(self) -> None:
        """Nobody knows where it is."""
        assert self.early is not None
        self.slabs.disown_early()
        self.unsettled.discard(self.early)
        self.early = None

    @rule(data=st.data())
    def run_and_settle(self, data: st.DataObject) -> None:
        """A batch goes and comes back; some of it is settled."""
        jobs = data.draw(st.lists(st.sampled_from(sorted(self.unsettled) or [Held(0, 0)])))
        jobs = sorted({job for job in jobs if job in self.unsettled})
        for number, places in self.slabs.start(jobs):
            expected = [job.position for job in jobs if job.slab == number]
            stored = self.lists.get(number, [0])
            assert expected == [stored[place] for place in places]
        over = data.draw(st.lists(st.sampled_from(jobs))) if jobs else []
        self.slabs.stop(jobs)
        self.slabs.settle(over)
        self.unsettled -= set(over)

    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        """Some jobs go back to their queue, each once and oldest first."""
        there = self.unsettled - {self.early}
        if not there:
            return
        jobs = data.draw(st.lists(st.sampled_from(sorted(there))))
        apply(self.slabs.settling(), self.lists)
        self.slabs.give_back(jobs)
        back = apply(self.slabs.settling(), self.lists)

        given = {Held(number, position) for number, them in back.items() for position in them}
        assert set(jobs) == given
        assert all(them == sorted(them) for them in back.values())
        self.unsettled -= set(jobs)

    @rule()
    def tell(self) -> None:
        """Redis is told: it holds all that is unsettled, and at most twice as much."""
        apply(self.slabs.settling(), self.lists)
        held = {Held(number, position) for number, them in self.lists.items() for position in them}
        assert self.unsettled - {self.early} <= held

    @invariant()
    def count_agrees(self) -> None:
        """The window is counted right."""
        assert len(self.unsettled) == self.slabs.unsettled
        assert len(self.unsettled) * MESSAGE_BYTES == self.slabs.held_bytes
        assert all(self.slabs.holds(job) for job in self.unsettled)


TestBookkeeping = Bookkeeping.TestCase
TestBookkeeping.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
