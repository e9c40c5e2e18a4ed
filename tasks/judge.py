"""Decide what bad rows mean for their jobs and targets, by what the targets tolerate. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from celeriac.contract import State
from postgres.replay import is_replay
from tasks.fit import TargetRows
from tasks.insert import Written
from tasks.rows import Reason, Row
from tasks.target import OnBadRow, Target, too_many_bad

#: Codes of rows that may only have met a row of another job, which may itself be rejected.
_COLLISIONS = frozenset({"23505", "23P01"})


@dataclass(frozen=True, slots=True)
class Closed:
    """Why nothing of a job is written.

    HELD, or QUEUED for a while: its target is closed. DEAD: it brought a bad
    row for a target that rejects such jobs. What ``passes_by_itself`` holds nothing.
    """

    state: State
    reason: str
    target: str
    passes_by_itself: bool = False


@dataclass(slots=True)
class Verdicts:
    """What follows from the bad rows of one try."""

    #: By target: too many bad rows in one job.
    closed: dict[str, Closed] = field(default_factory=dict)
    #: By job.
    rejected: dict[str, Closed] = field(default_factory=dict)
    #: Jobs whose fate depends on others: to be tried alone, after those.
    unsure: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.closed or self.rejected or self.unsure)


def judge(written: Sequence[Written], groups: Sequence[TargetRows]) -> Verdicts:
    """Say which targets and jobs cannot stay, with all bad rows known."""
    verdicts = Verdicts()
    bad = [one for one in written if one.refused]
    for group in groups if bad else ():
        refused = [pair for one in bad if one.target is group.target for pair in one.refused]
        if group.target.max_bad is not None:
            verdicts.closed |= dict(_above_limit(group, refused))
    strict = {job: rows for job, rows in _by_job(bad).items() if rows}
    sure = {job: rows for job, rows in strict.items() if not _may_depend(rows)}
    if sure:
        # The others anew, without these: what they met may be gone then.
        verdicts.rejected = {job: _rejected(rows[0]) for job, rows in sure.items()}
    else:
        verdicts.unsure = set(strict)
    return verdicts


def rejection(written: Iterable[Written]) -> Closed | None:
    """Return why a job that was tried alone is rejected, if it is."""
    for rows in _by_job(written).values():
        return _rejected(rows[0])
    return None


_Bad = tuple[Target, Row, Reason]


def _by_job(written: Iterable[Written]) -> dict[str, list[_Bad]]:
    """Return the bad rows of jobs that their targets reject for it."""
    found: dict[str, list[_Bad]] = {}
    for one in written:
        if one.target.on_bad_row is OnBadRow.REJECT_JOB:
            for row, reason in one.refused:
                found.setdefault(row.job_id, []).append((one.target, row, reason))
    return {job: sorted(rows, key=_place) for job, rows in found.items()}


def _place(bad: _Bad) -> tuple[str, int]:
    target, row, _ = bad
    return target.name, row.number


def _may_depend(rows: Sequence[_Bad]) -> bool:
    return all(reason.sqlstate in _COLLISIONS for _, _, reason in rows)


def _rejected(bad: _Bad) -> Closed:
    target, row, reason = bad
    words = f"{_told(target, row, reason)}; it rejects jobs with a bad row"
    return Closed(State.DEAD, words, target.name)


def _above_limit(
    group: TargetRows, refused: Sequence[tuple[Row, Reason]]
) -> Iterator[tuple[str, Closed]]:
    target = group.target
    # A replay brings rows that were bad before: they tell nothing new of the target.
    bad = Counter(row.job_id for row, _ in refused if not is_replay(row.job_id))
    rows = _count_rows(group, bad)
    for job, count in bad.items():
        if too_many_bad(target.max_bad, count, rows[job]):
            first = min((pair for pair in refused if pair[0].job_id == job), key=_number)
            yield (
                target.name,
                Closed(
                    State.HELD,
                    f"job {job!r} has {count} bad rows of {rows[job]}, max_bad is {target.max_bad}"
                    f"; the first: {_told(target, *first)}",
                    target.name,
                ),
            )


def _count_rows(group: TargetRows, jobs: Mapping[str, int]) -> Mapping[str, int]:
    return Counter(row.job_id for row in group.rows if row.job_id in jobs)


def _number(pair: tuple[Row, Reason]) -> int:
    return pair[0].number


def _told(target: Target, row: Row, reason: Reason) -> str:
    where = f", column {reason.column}" if reason.column else ""
    return (
        f"row {row.number} of target {target.name}{where}: "
        f"{reason.message} (SQLSTATE {reason.sqlstate})"
    )
