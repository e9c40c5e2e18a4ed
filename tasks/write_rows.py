"""Write rows target by target; find bad rows only where PostgreSQL refused some.

The fast way first: one statement a target. A refusal undoes it all, back to
one savepoint, and it starts again, wiser by one fact: these targets are
closed, those have bad rows. Every round learns something, so it ends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from celeriac.contract import State
from postgres import Cursor
from postgres.decision import Decision, decide
from postgres.errors import Phase, Refused
from postgres.transaction import check_deferred_constraints, savepoint
from tasks.insert import TargetRefused, TargetRows, Written, insert, reread_table
from tasks.isolate import isolate


@dataclass(frozen=True, slots=True)
class Closed:
    """A target that takes nothing now: HELD until resumed, or QUEUED for a while."""

    state: State
    reason: str


@dataclass(slots=True)
class _Knowledge:
    """What the rounds have taught so far."""

    closed: dict[str, Closed] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    reread: set[str] = field(default_factory=set)


def write_rows(
    groups: Sequence[TargetRows], cursor: Cursor
) -> tuple[list[Written], dict[str, Closed]]:
    """Write what can be written; return that, and which targets are closed and why.

    Raises :class:`Refused` for what is no matter of single rows or targets.
    """
    known = _Knowledge()
    while True:
        try:
            with savepoint(cursor, "rows_in", Phase.ROWS):
                return list(_write_open(groups, known, cursor)), known.closed
        except TargetRefused as refusal:
            _learn(refusal, known)
        except Refused as refused:
            _learn_from_constraints(refused, groups, known)


def _write_open(
    groups: Sequence[TargetRows], known: _Knowledge, cursor: Cursor
) -> Iterator[Written]:
    open_groups = [group for group in groups if group.target.name not in known.closed]
    for group in open_groups:
        if group.target.name not in known.doubted:
            yield insert(group, cursor)
    doubted = [group for group in open_groups if group.target.name in known.doubted]
    if doubted:
        yield from isolate(doubted, cursor)
    check_deferred_constraints(cursor)


def _learn(refusal: TargetRefused, known: _Knowledge) -> None:
    """Add one fact about the target, or raise what PostgreSQL said if there is none."""
    name, refused = refusal.target.name, refusal.refused
    match decide(refused.sqlstate, refused.phase, jobs=1):
        case Decision.ROWS if name not in known.doubted:
            known.doubted.add(name)
        case Decision.HOLD if name not in known.reread:
            # The table may only have changed since this process looked at it.
            known.reread.add(name)
            reread_table(refusal.target)
        case Decision.HOLD:
            known.closed[name] = Closed(State.HELD, str(refused))
        case Decision.BUSY:
            known.closed[name] = Closed(State.QUEUED, str(refused))
        case _:
            raise refused


def _learn_from_constraints(
    refused: Refused, groups: Sequence[TargetRows], known: _Knowledge
) -> None:
    """Doubt every target: a deferred constraint does not say whose row broke it."""
    names = {group.target.name for group in groups} - known.closed.keys()
    if decide(refused.sqlstate, refused.phase, jobs=1) is not Decision.ROWS:
        raise refused
    if refused.phase is not Phase.CONSTRAINTS or names <= known.doubted:
        raise refused
    known.doubted |= names
