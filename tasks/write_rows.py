"""Write rows target by target; find bad rows only where PostgreSQL refused some.

The fast way first: one statement a target. A refusal undoes it all, back to
one savepoint, and it starts again, wiser by one fact: these targets are
closed, those have bad rows, these jobs are rejected. Every round learns
something, so it ends.

``write_rows(groups, cursor) -> (list[Written], dict[str, Closed])``: what was
written, and which jobs were not, by their ids, and why. Rows come as
:func:`tasks.rows.read_rows` makes them; mapping them is done here.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from celeriac.contract import State
from postgres import Cursor
from postgres.decision import Decision, decide
from postgres.errors import Phase, Refused
from postgres.transaction import check_deferred_constraints, savepoint
from tasks.fit import Fitted, fit
from tasks.insert import TargetRefused, TargetRows, Written, insert, reread_table
from tasks.isolate import isolate
from tasks.judge import Closed, Verdicts, judge, rejection

#: How often a table may turn out altered in one batch before its target is closed.
_MOST_LOOKS = 3


@dataclass(slots=True)
class _Knowledge:
    """What the rounds have taught so far."""

    closed: dict[str, Closed] = field(default_factory=dict)
    rejected: dict[str, Closed] = field(default_factory=dict)
    #: Jobs that go last, each by itself: what they meet decides about them.
    alone: dict[str, None] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    looks: Counter[str] = field(default_factory=Counter)

    def out(self, groups: Sequence[TargetRows]) -> dict[str, Closed]:
        """Return the jobs of which nothing may be written: a job is atomic."""
        out = dict(self.rejected)
        for group in groups if self.closed else ():
            closed = self.closed.get(group.target.name)
            if closed is not None:
                out |= {row.job_id: closed for row in group.rows if row.job_id not in out}
        return out


class _Rejected(Exception):
    """A job that was tried alone has a bad row that its target does not tolerate."""

    def __init__(self, closed: Closed) -> None:
        super().__init__(closed.reason)
        self.closed = closed


class _Learned(Exception):
    """Something has to be undone because of bad rows that are known now."""

    def __init__(self, verdicts: Verdicts) -> None:
        super().__init__()
        self.verdicts = verdicts


def write_rows(
    groups: Sequence[TargetRows], cursor: Cursor
) -> tuple[list[Written], dict[str, Closed]]:
    """Write what can be written; return that, and of which jobs nothing was and why.

    Raises :class:`Refused` for what is no matter of single rows or targets.
    """
    known = _Knowledge()
    while True:
        out = known.out(groups)
        try:
            with savepoint(cursor, "rows_in", Phase.ROWS):
                written, rejected = _write_round(groups, out, known, cursor)
            return written, out | rejected
        except TargetRefused as refusal:
            _learn(refusal, known)
        except Refused as refused:
            _learn_from_constraints(refused, groups, known)
        except _Learned as learned:
            _learn_from_bad_rows(learned.verdicts, groups, known)


def _write_round(
    groups: Sequence[TargetRows], out: Collection[str], known: _Knowledge, cursor: Cursor
) -> tuple[list[Written], dict[str, Closed]]:
    fitted = _fit_all([_without(group, out) for group in groups], cursor)
    together = [_without(one.group, known.alone) for one in fitted]
    written = [Written(one.group.target, (), list(one.misfits.items())) for one in fitted]
    written += _write_open(together, known, cursor)
    rejected: dict[str, Closed] = {}
    for job in known.alone:
        mine, closed = _write_alone([_only(one.group, job) for one in fitted], cursor)
        written += mine
        if closed is not None:
            rejected[job] = closed
    if rejected:
        # Of a job that dies nothing is kept, nor of its rows for other targets.
        written = [_spared(one, rejected) for one in written]
    verdicts = judge(written, groups)
    if verdicts:
        raise _Learned(verdicts)
    return written, rejected


def _fit_all(groups: Sequence[TargetRows], cursor: Cursor) -> list[Fitted]:
    """Fit all rows, parents before children: the order in which everybody locks tables."""
    fitted = []
    for group in groups:
        if group.rows:
            try:
                fitted.append(fit(group, cursor))
            except Refused as refused:
                raise TargetRefused(group.target, refused) from refused
    return sorted(fitted, key=lambda one: (one.table.level, one.group.target.name))


def _write_open(
    groups: Sequence[TargetRows], known: _Knowledge, cursor: Cursor
) -> Iterator[Written]:
    groups = [group for group in groups if group.rows]
    for group in groups:
        if group.target.name not in known.doubted:
            yield insert(group, cursor)
    doubted = [group for group in groups if group.target.name in known.doubted]
    if doubted:
        yield from isolate(doubted, cursor)
    check_deferred_constraints(cursor)


def _write_alone(
    groups: Sequence[TargetRows], cursor: Cursor
) -> tuple[list[Written], Closed | None]:
    try:
        with savepoint(cursor, "alone", Phase.ROWS, release=True):
            written = isolate([group for group in groups if group.rows], cursor)
            closed = rejection(written)
            if closed is not None:
                raise _Rejected(closed)
            return written, None
    except _Rejected as rejected:
        return [], rejected.closed


def _learn(refusal: TargetRefused, known: _Knowledge) -> None:
    """Add one fact about the target, or raise what PostgreSQL said if there is none."""
    name, refused = refusal.target.name, refusal.refused
    match decide(refused.sqlstate, refused.phase, jobs=1):
        case Decision.ROWS if name not in known.doubted:
            known.doubted.add(name)
        case Decision.HOLD if known.looks[name] < _MOST_LOOKS:
            # The table may only have changed since this process looked at it.
            known.looks[name] += 1
            reread_table(refusal.target)
        case Decision.HOLD:
            known.closed[name] = Closed(State.HELD, str(refused), name)
        case Decision.BUSY:
            known.closed[name] = Closed(State.QUEUED, str(refused), name)
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


def _learn_from_bad_rows(
    verdicts: Verdicts, groups: Sequence[TargetRows], known: _Knowledge
) -> None:
    known.closed |= verdicts.closed
    known.rejected |= verdicts.rejected
    arrived = dict.fromkeys(row.job_id for group in groups for row in group.rows)
    known.alone |= {job: None for job in arrived if job in verdicts.unsure}


def _without(group: TargetRows, jobs: Collection[str]) -> TargetRows:
    if not jobs:
        return group
    return TargetRows(group.target, [row for row in group.rows if row.job_id not in jobs])


def _spared(written: Written, jobs: Collection[str]) -> Written:
    refused = [pair for pair in written.refused if pair[0].job_id not in jobs]
    return Written(written.target, written.accounts, refused)


def _only(group: TargetRows, job: str) -> TargetRows:
    return TargetRows(group.target, [row for row in group.rows if row.job_id == job])


__all__ = ["Closed", "write_rows"]
