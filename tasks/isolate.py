"""Find the rows that PostgreSQL will not take, by halving, and write the others."""

from collections.abc import Iterator, Sequence

from postgres import Cursor
from postgres.bad_column import bad_column
from postgres.decision import Decision, decide
from postgres.errors import Phase, Refused
from postgres.transaction import check_deferred_constraints, savepoint, trial
from tasks.insert import TargetRefused, TargetRows, Written, destination_of, insert
from tasks.rows import Reason, Row
from tasks.targets import Target

_Refusals = dict[Row, Reason]


def isolate(groups: Sequence[TargetRows], cursor: Cursor) -> list[Written]:
    """Write every row that can be written, and return the others as refused.

    The search runs in a trial that leaves nothing behind; then the good rows
    go in the ordinary way, in the order that the search found to work.
    """
    with trial(cursor, "search", Phase.ROWS):
        passes, refused = _search(groups, cursor)
    written = [insert(group, cursor) for good in passes for group in good]
    for group in groups:
        bad = [(row, refused[row]) for row in group.rows if row in refused]
        written.append(Written(group.target, (), bad))
    return written


def _search(
    groups: Sequence[TargetRows], cursor: Cursor
) -> tuple[list[list[TargetRows]], _Refusals]:
    """Try all rows, then again those refused, until a whole pass takes no more.

    A child refused before its parent came in is taken in the next pass, so
    only true orphans remain.
    """
    # Now, not at COMMIT: each piece has to answer for itself.
    check_deferred_constraints(cursor)
    passes: list[list[TargetRows]] = []
    suspects = list(groups)
    while True:
        refused: _Refusals = {}
        for group in suspects:
            refused.update(_bad_rows(group.target, group.rows, cursor))
        passes.append([_without(refused, group) for group in suspects])
        remaining = [_among(refused, group) for group in suspects]
        remaining = [group for group in remaining if group.rows]
        if not remaining or _count(remaining) == _count(suspects):
            return [[group for group in good if group.rows] for good in passes], refused
        suspects = remaining


def _bad_rows(target: Target, rows: Sequence[Row], cursor: Cursor) -> Iterator[tuple[Row, Reason]]:
    """Insert the good rows, yield the bad: about 2 k log2(n) statements for k bad of n."""
    try:
        with savepoint(cursor, "piece", Phase.ROWS, release=True):
            written = insert(TargetRows(target, rows), cursor)
        yield from written.refused
    except TargetRefused as refusal:
        if decide(refusal.refused.sqlstate, Phase.ROWS, jobs=1) is not Decision.ROWS:
            raise
        if len(rows) == 1:
            yield rows[0], _reason(target, rows[0], refusal.refused, cursor)
            return
        half = len(rows) // 2
        yield from _bad_rows(target, rows[:half], cursor)
        yield from _bad_rows(target, rows[half:], cursor)


def _reason(target: Target, row: Row, refused: Refused, cursor: Cursor) -> Reason:
    column = bad_column(destination_of(target, row, cursor), row.text, refused, cursor)
    return Reason(refused.sqlstate or "", refused.message, column)


def _without(refused: _Refusals, group: TargetRows) -> TargetRows:
    return TargetRows(group.target, [row for row in group.rows if row not in refused])


def _among(refused: _Refusals, group: TargetRows) -> TargetRows:
    return TargetRows(group.target, [row for row in group.rows if row in refused])


def _count(groups: Sequence[TargetRows]) -> int:
    return sum(len(group.rows) for group in groups)
