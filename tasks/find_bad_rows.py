"""Guess which rows of a target PostgreSQL would refuse, by asking about all of them at once."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from postgres import Cursor
from postgres.bad_rows import find_broken_rows
from postgres.bad_rules import Rules, find_rules
from postgres.bad_values import BadValue, find_bad_values
from postgres.decision import Decision, decide
from postgres.errors import Phase, Refused
from postgres.insert_rows import Destination
from postgres.provenance import time_zone
from postgres.transaction import trial
from postgres.try_rows import try_rows
from tasks.insert import TargetRefused, TargetRows, destination_of
from tasks.rows import Row
from tasks.target import Target

#: What a guess is allowed to stumble over: then there is none, and the search goes by trial.
_NO_GUESS = frozenset({Decision.ROWS, Decision.HOLD})

#: So often a table that refers to itself is asked again without its orphans, who may be parents.
_MOST_GENERATIONS = 10

#: Rows that are tried before the many, to see whether the guess is worth anything.
_SAMPLE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Suspect:
    """A row that may be bad, and the value that makes it so, if that was found."""

    row: Row
    value: BadValue | None = None


def find_bad_rows(group: TargetRows, cursor: Cursor) -> dict[Row, Suspect]:
    """Return the rows that look bad: in few statements, however many there are.

    It is a guess, to be confirmed by :func:`try_each`. Nothing is written.
    """
    suspects: dict[Row, Suspect] = {}
    try:
        zone = time_zone(group.target.timezone, cursor)
        with trial(cursor, "guess", Phase.ROWS), zone:
            for destination, rows in _runs(group.target, group.rows, cursor):
                rules = find_rules(destination.table, cursor)
                for one in _guess(destination, rules, rows, cursor):
                    suspects[one.row] = one
    except Refused as refused:
        if decide(refused.sqlstate, refused.phase, jobs=1) not in _NO_GUESS:
            raise TargetRefused(group.target, refused) from refused
    return suspects


def try_each(
    target: Target, rows: Sequence[Row], cursor: Cursor, *, is_last_try: bool = False
) -> dict[Row, Refused]:
    """Try each row alone, after what is there; return those that are refused, with the words.

    Where most of a sample are taken the others are not even tried: they count
    as taken. Raises :class:`TargetRefused` for what is no fault of a row, and
    for what PL/pgSQL cannot catch: a cancellation, on the last try a row's fault.
    """
    sample, rest = rows[:_SAMPLE_ROWS], rows[_SAMPLE_ROWS:]
    refused = _try_all(target, sample, cursor, is_last_try=is_last_try)
    if rest and len(refused) * 2 >= len(sample):
        refused |= _try_all(target, rest, cursor, is_last_try=is_last_try)
    return refused


def is_about_rows(refused: Refused, *, is_last_try: bool) -> bool:
    """Tell whether single rows are to blame, as far as the code says."""
    decision = decide(refused.sqlstate, Phase.ROWS, jobs=1, is_last_try=is_last_try)
    return decision is Decision.ROWS


def find_values(target: Target, rows: Sequence[Row], cursor: Cursor) -> Mapping[Row, BadValue]:
    """Return the first value of each row that its column's type does not take, if one was found."""
    values: dict[Row, BadValue] = {}
    try:
        with trial(cursor, "guess", Phase.ROWS):
            for destination, run in _runs(target, rows, cursor):
                rules = find_rules(destination.table, cursor)
                bad = _bad_values(destination, rules, run, cursor)
                values |= {run[place]: value for place, value in bad.items()}
    except Refused as refused:
        if decide(refused.sqlstate, refused.phase, jobs=1) not in _NO_GUESS:
            raise TargetRefused(target, refused) from refused
    return values


def _guess(
    destination: Destination, rules: Rules, rows: Sequence[Row], cursor: Cursor
) -> Iterator[Suspect]:
    try:
        broken = _broken(destination, rules, rows, cursor)
    except Refused as refused:
        if decide(refused.sqlstate, refused.phase, jobs=1) is not Decision.ROWS:
            raise
        bad = _bad_values(destination, rules, rows, cursor)
        for place, value in bad.items():
            yield Suspect(rows[place], value)
        rows = [row for place, row in enumerate(rows) if place not in bad]
        broken = _broken(destination, rules, rows, cursor)
    yield from map(Suspect, broken)


def _broken(
    destination: Destination, rules: Rules, rows: Sequence[Row], cursor: Cursor
) -> list[Row]:
    """Return rows that break a rule; an orphan may be a parent, hence generation by generation."""
    broken: list[Row] = []
    refers_to_itself = any(parent.is_itself for parent in rules.parents)
    for _ in range(_MOST_GENERATIONS if refers_to_itself else 1):
        if not rows:
            break
        with trial(cursor, "find_broken", Phase.ROWS):
            places = find_broken_rows(destination, rules, [row.text for row in rows], cursor)
        if not places:
            break
        broken += [rows[place] for place in sorted(places)]
        rows = [row for place, row in enumerate(rows) if place not in places]
    return broken


def _bad_values(
    destination: Destination, rules: Rules, rows: Sequence[Row], cursor: Cursor
) -> Mapping[int, BadValue]:
    texts = [row.text for row in rows]
    try:
        with trial(cursor, "find_values", Phase.ROWS):
            return find_bad_values(destination, rules, texts, cursor, risk=True)
    except Refused as refused:
        if decide(refused.sqlstate, refused.phase, jobs=1) not in _NO_GUESS:
            raise
    return find_bad_values(destination, rules, texts, cursor, risk=False)


def _try_all(
    target: Target, rows: Sequence[Row], cursor: Cursor, *, is_last_try: bool
) -> dict[Row, Refused]:
    refused: dict[Row, Refused] = {}
    try:
        with time_zone(target.timezone, cursor):
            for destination, run in _runs(target, rows, cursor):
                answers = try_rows(destination, [row.text for row in run], cursor)
                refused |= {run[place]: refusal for place, refusal in answers.items()}
    except Refused as error:
        raise TargetRefused(target, error) from error
    for refusal in refused.values():
        if not is_about_rows(refusal, is_last_try=is_last_try):
            raise TargetRefused(target, refusal)
    return refused


def _runs(
    target: Target, rows: Sequence[Row], cursor: Cursor
) -> Iterator[tuple[Destination, list[Row]]]:
    """Split rows by what they write."""
    shapes: dict[tuple[frozenset[str], frozenset[str]], list[Row]] = defaultdict(list)
    for row in rows:
        shapes[row.columns, row.defaulted].append(row)
    for run in shapes.values():
        yield destination_of(target, run[0], cursor), run
