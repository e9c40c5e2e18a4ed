"""The states of a job: which may follow which."""

from celeriac.contract import LEDGER_STATES, MOVES, State
from worker.delivery import Fate
from worker.ends import _FATES


def test_every_state_has_its_moves() -> None:
    """The map of moves names each state, and leads to states only."""
    reached = {state for following in MOVES.values() for state in following}

    assert set(State) == set(MOVES)
    assert reached <= set(State)


def test_every_job_can_end() -> None:
    """From each state that a job can be in, it can get to committed or to cancelled."""
    ends = {State.COMMITTED, State.CANCELLED}
    able = set(ends)
    for _ in State:
        able |= {state for state, following in MOVES.items() if following & able}

    assert set(State) - {State.UNKNOWN} == able


def test_committed_is_final() -> None:
    """What committed is never anything else again; nor is what was cancelled."""
    finals = {state for state, following in MOVES.items() if not following}

    assert {State.COMMITTED, State.CANCELLED, State.UNKNOWN} == finals


def test_dead_and_held_come_back_through_the_queue() -> None:
    """Redriving and resuming go through the queue, by no shortcut; discarded jobs are over."""
    moves = (MOVES[State.DEAD], MOVES[State.HELD])

    assert ({State.QUEUED, State.CANCELLED},) * 2 == moves


def test_nothing_commits_before_it_runs() -> None:
    """A job that only waits can go on, or be cancelled, but has no effect."""
    waiting = MOVES[State.QUEUED] | MOVES[State.RESERVED]

    assert {State.QUEUED, State.RESERVED, State.RUNNING, State.CANCELLED} == waiting


def test_every_end_in_the_ledger_has_a_fate() -> None:
    """Whatever the ledger answers for a job that ended, its message can be settled."""
    settled = {_FATES[state] for state in LEDGER_STATES - {State.WORKING}}

    assert {Fate.COMMITTED, Fate.DEAD, Fate.HELD, Fate.CANCELLED} == settled


def test_states_read_as_their_words() -> None:
    """A state printed is its word, in Python 3.10 as in later ones."""
    words = [f"{state}" for state in State]

    assert [state.value for state in State] == words
