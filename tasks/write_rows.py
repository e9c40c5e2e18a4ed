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
from postgres.decision import Decision, decide, passes_by_itself, when_the_server_is_well
from postgres.errors import Phase, Refused
from postgres.server_trouble import is_well
from postgres.transaction import check_deferred_constraints, savepoint, trial
from tasks.fit import Fitted, fit
from tasks.insert import TargetRefused, TargetRows, Written, insert, reread_table
from tasks.isolate import isolate
from tasks.judge import Closed, Verdicts, judge, rejection
from tasks.troubled import find_troubled

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
    #: Whether a collision, too, is the fault of a row: there were enough of them.
    is_last_try: bool = False

    def decide(self, refused: Refused) -> Decision:
        """Return what follows from a refusal of one target."""
        return decide(refused.sqlstate, refused.phase, jobs=1, is_last_try=self.is_last_try)

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
    groups: Sequence[TargetRows], cursor: Cursor, *, is_last_try: bool = False
) -> tuple[list[Written], dict[str, Closed]]:
    """Write what can be written; return that, and of which jobs nothing was and why.

    On the last try a row that always collides is bad. Raises :class:`Refused`
    for what is no matter of single rows or targets.
    """
    known = _Knowledge(is_last_try=is_last_try)
    while True:
        out = known.out(groups)
        try:
            with savepoint(cursor, "rows_in", Phase.ROWS):
                written, rejected = _write_round(groups, out, known, cursor)
            return written, out | rejected
        except TargetRefused as refusal:
            _learn(refusal, groups, known, cursor)
        except Refused as refused:
            _learn_from_constraints(refused, groups, known, cursor)
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
        mine, closed = _write_alone([_only(one.group, job) for one in fitted], known, cursor)
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
        yield from isolate(doubted, cursor, is_last_try=known.is_last_try)
    check_deferred_constraints(cursor)


def _write_alone(
    groups: Sequence[TargetRows], known: _Knowledge, cursor: Cursor
) -> tuple[list[Written], Closed | None]:
    groups = [group for group in groups if group.rows]
    try:
        with savepoint(cursor, "alone", Phase.ROWS, release=True):
            written = isolate(groups, cursor, is_last_try=known.is_last_try)
            closed = rejection(written)
            if closed is not None:
                raise _Rejected(closed)
            return written, None
    except _Rejected as rejected:
        return [], rejected.closed


def _learn(
    refusal: TargetRefused, groups: Sequence[TargetRows], known: _Knowledge, cursor: Cursor
) -> None:
    """Add one fact about the target, or raise what PostgreSQL said if there is none."""
    name, refused = refusal.target.name, refusal.refused
    match known.decide(refused):
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
        case Decision.WAIT if _is_of_the_target(refused, cursor):
            _learn_from_trouble(refusal, groups, known, cursor)
        case _:
            raise refused


def _is_of_the_target(refused: Refused, cursor: Cursor) -> bool:
    """Whether trouble that looks like the server's is that of one target: the server is asked."""
    decision = when_the_server_is_well(refused.sqlstate, refused.phase, jobs=1)
    return decision is Decision.BUSY and is_well(cursor)


def _learn_from_trouble(
    refusal: TargetRefused, groups: Sequence[TargetRows], known: _Knowledge, cursor: Cursor
) -> None:
    """Leave out the few jobs that bring it about, or close the target if there is no telling."""
    name, out = refusal.target.name, known.out(groups)
    (group,) = [_without(group, out) for group in groups if group.target is refusal.target]

    def is_in_trouble(jobs: Sequence[str]) -> bool:
        tried = frozenset(jobs)
        piece = TargetRows(group.target, [row for row in group.rows if row.job_id in tried])
        said = _refusal_of(piece, known, cursor)
        return said is not None and known.decide(said.refused) is Decision.WAIT

    passes = passes_by_itself(refusal.refused.sqlstate)
    closed = Closed(State.QUEUED, str(refusal.refused), name, passes)
    guilty = find_troubled(list(dict.fromkeys(row.job_id for row in group.rows)), is_in_trouble)
    if guilty:
        known.rejected |= dict.fromkeys(guilty, closed)
    else:
        known.closed[name] = closed


def _learn_from_constraints(
    refused: Refused, groups: Sequence[TargetRows], known: _Knowledge, cursor: Cursor
) -> None:
    """Doubt every target: a deferred constraint does not say whose row broke it.

    Where it is not about rows, see which target alone brings it about.
    """
    if refused.phase is not Phase.CONSTRAINTS:
        raise refused
    if known.decide(refused) is not Decision.ROWS:
        _learn_from_each(refused, groups, known, cursor)
        return
    names = {group.target.name for group in groups} - known.closed.keys()
    if names <= known.doubted:
        raise refused
    known.doubted |= names


def _learn_from_each(
    refused: Refused, groups: Sequence[TargetRows], known: _Knowledge, cursor: Cursor
) -> None:
    """Try each target by itself, and learn of those that are refused likewise."""
    out = known.out(groups)
    guilty = [
        refusal
        for group in groups
        if group.target.name not in known.closed
        and (refusal := _refusal_of(_without(group, out), known, cursor))
        and known.decide(refusal.refused) is known.decide(refused)
    ]
    if not guilty:
        raise refused
    for refusal in guilty:
        _learn(refusal, groups, known, cursor)


def _refusal_of(group: TargetRows, known: _Knowledge, cursor: Cursor) -> TargetRefused | None:
    """Return what PostgreSQL says of one target alone; nothing is written."""
    try:
        with trial(cursor, "by_itself", Phase.ROWS):
            fitted = _fit_all([group], cursor)
            list(_write_open([one.group for one in fitted], known, cursor))
    except TargetRefused as refusal:
        return refusal
    except Refused as refused:
        if cursor.connection.closed:
            raise
        return TargetRefused(group.target, refused)
    return None


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
