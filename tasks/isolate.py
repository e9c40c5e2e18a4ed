"""Find the rows that PostgreSQL will not take, and write the others.

First by a guess that costs few statements however many rows are bad; where
that does not hold, by halving. Either way a row is bad only if the insert
itself refuses it, and its reason is what PostgreSQL says of it alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from postgres import Cursor
from postgres.bad_rules import can_be_asked
from postgres.errors import Phase, Refused
from postgres.transaction import check_deferred_constraints, savepoint, trial
from tasks.confirm import reason_of
from tasks.find_bad_rows import Suspect, find_bad_rows, is_about_rows, try_each
from tasks.insert import TargetRefused, TargetRows, Written, insert
from tasks.rows import Reason, Row
from tasks.target import Target

#: How often a guess that proved wrong is mended before the search goes by halving.
_MOST_GUESSES = 3

#: Rows that are rather tried one by one, in one statement, than halved further.
_FEW_ROWS = 32


@dataclass(slots=True)
class _Search:
    """What is known of one target's rows."""

    group: TargetRows
    #: Whether a collision, too, is the fault of the row that met it: there were enough of them.
    is_last_try: bool = False
    #: Rows that look bad, until they are tried.
    suspects: dict[Row, Suspect] = field(default_factory=dict)
    #: Rows that PostgreSQL refuses.
    refused: dict[Row, Refused] = field(default_factory=dict)

    @property
    def target(self) -> Target:
        return self.group.target

    def blames_rows(self, refused: Refused) -> bool:
        """Tell whether a refusal is about single rows."""
        return is_about_rows(refused, is_last_try=self.is_last_try)

    def without(self, rows: Iterable[Row]) -> TargetRows:
        """Return the others, in the order of arrival."""
        left_out = frozenset(rows)
        return TargetRows(self.target, [row for row in self.group.rows if row not in left_out])

    def only(self, rows: Iterable[Row]) -> TargetRows:
        """Return these, in the order of arrival."""
        wanted = frozenset(rows)
        return TargetRows(self.target, [row for row in self.group.rows if row in wanted])


class _GuessedWrong(Exception):
    """Rows that looked bad were taken: what was written with the guess has to be undone."""


def isolate(
    groups: Sequence[TargetRows], cursor: Cursor, *, is_last_try: bool = False
) -> list[Written]:
    """Write every row that can be written, and return the others as refused.

    A row that was refused is tried again when others came in, which may be
    its parents, until nothing more is taken. On the last try also a row that
    always collides is refused: a trigger may say so of it, for ever.
    """
    searches = [_Search(group, is_last_try) for group in groups]
    written = _write_by_guess(searches, cursor)
    if written is None:
        written = _write_by_halving(searches, cursor)
    return [*written, *(Written(one.target, (), list(_reasons(one, cursor))) for one in searches)]


def _write_by_guess(searches: Sequence[_Search], cursor: Cursor) -> list[Written] | None:
    """Write all but the suspects, then try those; None, and nothing is written, if that fails."""
    if not can_be_asked(cursor):
        return None
    for guess in range(_MOST_GUESSES):
        try:
            write = partial(_write_and_confirm, searches, cursor, guess)
            return _try_to_write(write, searches, cursor)
        except _GuessedWrong:
            pass
    return None


def _try_to_write(
    write: Callable[[], list[Written]], searches: Sequence[_Search], cursor: Cursor
) -> list[Written] | None:
    """Undo what was written and return None if rows of it were refused."""
    try:
        with savepoint(cursor, "attempt", Phase.ROWS):
            return write()
    except TargetRefused as refusal:
        if not any(one.blames_rows(refusal.refused) for one in searches):
            raise
    except Refused as refused:
        if not any(one.blames_rows(refused) for one in searches):
            raise
    return None


def _write_and_confirm(searches: Sequence[_Search], cursor: Cursor, guess: int) -> list[Written]:
    written = []
    for one in searches:
        if guess == 0:
            # Just before its rows go in: parents written before it are no longer missing.
            one.suspects = find_bad_rows(one.group, cursor)
        written.append(insert(one.without(one.suspects), cursor))
    # Now, not at COMMIT; and from here on each row has to answer for itself.
    check_deferred_constraints(cursor)
    is_wrong = False
    for one in searches:
        suspects = one.only(one.suspects).rows
        one.refused = _try_each(one, suspects, cursor)
        is_wrong |= len(one.refused) < len(suspects)
    if is_wrong:
        for one in searches:
            one.suspects = {row: one.suspects[row] for row in one.refused}
        raise _GuessedWrong
    return written


def _write_by_halving(searches: Sequence[_Search], cursor: Cursor) -> list[Written]:
    """Search in a trial that leaves nothing behind, then write what was taken the ordinary way."""
    with trial(cursor, "search", Phase.ROWS):
        check_deferred_constraints(cursor)
        passes = [_halve_all(searches, cursor)]
        while taken := _try_again(searches, cursor):
            passes.append(taken)
    written = _write_together(searches, passes, cursor) if len(passes) > 1 else None
    return written or [insert(group, cursor) for taken in passes for group in taken]


def _halve_all(searches: Sequence[_Search], cursor: Cursor) -> list[TargetRows]:
    """Take all that goes in at once or in pieces; suspects are left for later."""
    for one in searches:
        rows = one.without(one.suspects).rows
        one.refused = dict(_bad_rows(one, rows, cursor))
    return _kept(one.without({**one.suspects, **one.refused}) for one in searches)


def _try_again(searches: Sequence[_Search], cursor: Cursor) -> list[TargetRows]:
    """Try what is left against what is there; return what was taken of it."""
    taken = []
    for one in searches:
        left = one.only({**one.suspects, **one.refused}).rows
        one.suspects = {row: one.suspects.get(row, Suspect(row)) for row in left}
        refused = _try_each(one, left, cursor)
        welcome = [row for row in left if row not in refused]
        refused.update(_bad_rows(one, welcome, cursor))
        one.refused = refused
        taken.append(one.only(row for row in welcome if row not in refused))
    return _kept(taken)


def _bad_rows(one: _Search, rows: Sequence[Row], cursor: Cursor) -> Iterator[tuple[Row, Refused]]:
    """Insert the good rows, yield the bad: about 2 k log2(n) inserts for k bad of n."""
    if not rows:
        return
    try:
        with savepoint(cursor, "piece", Phase.ROWS, release=True):
            insert(TargetRows(one.target, rows), cursor)
    except TargetRefused as refusal:
        if not one.blames_rows(refusal.refused):
            raise
        if len(rows) == 1:
            yield rows[0], refusal.refused
            return
        yield from _bad_among(one, rows, cursor)


def _bad_among(one: _Search, rows: Sequence[Row], cursor: Cursor) -> Iterator[tuple[Row, Refused]]:
    """Search rows that were refused together."""
    refused = _try_each(one, rows, cursor) if len(rows) <= _FEW_ROWS else {}
    if refused:
        yield from refused.items()
        yield from _bad_rows(one, [row for row in rows if row not in refused], cursor)
        return
    half = len(rows) // 2
    yield from _bad_rows(one, rows[:half], cursor)
    yield from _bad_rows(one, rows[half:], cursor)


def _try_each(one: _Search, rows: Sequence[Row], cursor: Cursor) -> dict[Row, Refused]:
    if not one.is_last_try:
        return try_each(one.target, rows, cursor)
    try:
        with trial(cursor, "each", Phase.ROWS):
            return try_each(one.target, rows, cursor, is_last_try=True)
    except TargetRefused as refusal:
        if not one.blames_rows(refusal.refused):
            raise
    # PL/pgSQL, which tries them, cannot catch a cancellation: row by row, a statement each.
    return {row: refused for row in rows if (refused := _refusal(one, row, cursor))}


def _refusal(one: _Search, row: Row, cursor: Cursor) -> Refused | None:
    try:
        with trial(cursor, "single", Phase.ROWS):
            insert(TargetRows(one.target, [row]), cursor)
    except TargetRefused as refusal:
        if not one.blames_rows(refusal.refused):
            raise
        return refusal.refused
    return None


def _write_together(
    searches: Sequence[_Search], passes: Sequence[Sequence[TargetRows]], cursor: Cursor
) -> list[Written] | None:
    """Write each target's rows at once, in arrival order, those last that had to wait for others.

    In passes an early row would come in after a late one of its key.
    """
    last = {group.target.name: number for number, taken in enumerate(passes) for group in taken}
    in_turn = sorted(searches, key=lambda one: last.get(one.target.name, 0))

    def write() -> list[Written]:
        good = [one.without(one.refused) for one in in_turn]
        written = [insert(group, cursor) for group in _kept(good)]
        check_deferred_constraints(cursor)
        return written

    return _try_to_write(write, searches, cursor)


def _reasons(one: _Search, cursor: Cursor) -> Iterator[tuple[Row, Reason]]:
    for row, refused in one.refused.items():
        value = one.suspects[row].value if row in one.suspects else None
        yield row, reason_of(one.target, row, refused, value, cursor)


def _kept(groups: Iterable[TargetRows]) -> list[TargetRows]:
    return [group for group in groups if group.rows]
