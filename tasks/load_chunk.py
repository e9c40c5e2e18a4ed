"""Put a chunk of a file into its target: as a whole if PostgreSQL takes it so, else row by row.

Three ways, from the fastest on. All records at once. If some are refused, all
but those that look bad, which are tried one by one. Where that does not work
either, and where COPY would misread the chunk, every record as a row of an
ingest job. On each of them bad rows end in the quarantine, and no others.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from celeriac.contract import State
from postgres import Cursor
from postgres.copy_in import CsvForm, CsvRecords, misreads_end_marker
from postgres.decision import Decision, decide
from postgres.errors import Phase, Refused
from postgres.insert_rows import Destination
from postgres.provenance import time_zone
from postgres.quarantine import QuarantinedRow, quarantine
from postgres.stage import (
    FOREIGN_KEY,
    UNIQUE,
    Feed,
    copy_csv,
    copy_readable_csv,
    sift_csv,
)
from postgres.transaction import check_deferred_constraints, savepoint
from tasks.confirm import confirm
from tasks.feed import feed_of, refuse_members
from tasks.files import Chunk, Reader, Record, Shape
from tasks.fit import TargetRows, fit, reread_table, see_table
from tasks.insert import TargetRefused
from tasks.kind import Counts
from tasks.record_rows import RecordRows
from tasks.redact import redact
from tasks.rows import Reason, Row
from tasks.target import OnBadRow, Target
from tasks.write_rows import write_rows

#: What another way may explain better than the refusal of a whole chunk.
_WORTH_A_LOOK = frozenset({Decision.ROWS, Decision.HOLD, Decision.BUSY})
#: Class of the SQLSTATEs of NOT NULL, CHECK, FOREIGN KEY, UNIQUE and their like.
_BROKEN_RULE = "23"
#: Records that are rows in Python's memory at a time.
_PIECE_ROWS = 2_000

_Sifted = tuple[Mapping[str, int], Collection[int]]
_Sift = Callable[[Destination, Feed, CsvRecords, Cursor], _Sifted | None]


class ChunkRefused(Exception):
    """Nothing of a chunk is written: its target is closed, or it rejects jobs with a bad row."""

    def __init__(self, state: State, reason: str) -> None:
        super().__init__(reason)
        self.state = state


class _GuessedWrong(Exception):
    """What was put in by a guess cannot stay."""


@dataclass(slots=True)
class Loader:
    """Loads the chunks of one file, in order."""

    job_id: str
    target: Target
    reader: Reader
    #: Whether a record that always collides is bad: see :func:`tasks.write_rows.write_rows`.
    is_last_try: bool = False
    #: The last chunk had bad rows: the next one will hardly go in as a whole.
    _is_in_doubt: bool = field(default=False, init=False)
    #: What broke rules that cost much to look at.
    _met: set[str] = field(default_factory=set, init=False)
    #: A chunk was refused for a rule, which COPY may notice only when all of it is in.
    _breaks_rules: bool = field(default=False, init=False)

    def load(self, chunk: Chunk, cursor: Cursor) -> Counts:
        """Write a chunk in the open transaction; return how its rows ended.

        Raises :class:`ChunkRefused`, and :class:`Refused` for what is no matter
        of rows or targets.
        """
        counts = None
        if self._may_copy(chunk, cursor):
            counts = self._copy(chunk, cursor) or self._sift(chunk, cursor)
        if counts is None:
            records = self.reader.records(chunk, self.members(cursor))
            counts = self._row_by_row(records, cursor)
        self._is_in_doubt = counts.quarantined > 0
        return counts

    def members(self, cursor: Cursor) -> Sequence[str]:
        """Return the names of each record's fields, in order."""
        return self.reader.columns or tuple(see_table(self.target, cursor).columns)

    def refuse_members(self, cursor: Cursor) -> str | None:
        """Say why no record of the file fits the target; None if they may."""
        target = self.target
        reread_table(target)
        return refuse_members(target, see_table(target, cursor), self.members(cursor))

    def _may_copy(self, chunk: Chunk, cursor: Cursor) -> bool:
        if self.is_last_try or self.reader.shape is not Shape.CSV or not chunk.is_utf8:
            return False
        return not (chunk.has_end_marker and misreads_end_marker(cursor))

    def _copy(self, chunk: Chunk, cursor: Cursor) -> Counts | None:
        """Put all in at once; None, and nothing is in, if some record is refused."""
        if self._is_in_doubt:
            return None
        try:
            with savepoint(cursor, "chunk", Phase.ROWS), time_zone(self.target.timezone, cursor):
                counts = copy_csv(*self._plan(chunk, cursor), cursor)
                check_deferred_constraints(cursor)
                return Counts(**counts)
        except Refused as refused:
            _raise_unless_worth_a_look(refused)
            self._note(refused)
        self._hold_if_altered(cursor)
        return None

    def _sift(self, chunk: Chunk, cursor: Cursor) -> Counts | None:
        """Put in what looks good, then try the rest; None, and nothing is in, if that fails."""
        lines = _lines(chunk)
        if lines is None:
            return None
        counts = None
        if not self._breaks_rules:
            counts = self._try_to_sift(chunk, lines, copy_readable_csv, cursor)
        met = -1
        # Each try that fails may have met something more to look for.
        while counts is None and met < len(self._met):
            met = len(self._met)
            counts = self._try_to_sift(chunk, lines, self._sift_by_rules, cursor)
        return counts

    def _sift_by_rules(
        self, destination: Destination, feed: Feed, records: CsvRecords, cursor: Cursor
    ) -> _Sifted:
        return sift_csv(destination, feed, records, self._met, cursor)

    def _try_to_sift(
        self, chunk: Chunk, lines: Sequence[bytes], sift: _Sift, cursor: Cursor
    ) -> Counts | None:
        try:
            with savepoint(cursor, "sifted", Phase.ROWS):
                with time_zone(self.target.timezone, cursor):
                    sifted = sift(*self._plan(chunk, cursor), cursor)
                check_deferred_constraints(cursor)
                if sifted is not None:
                    return self._try_suspects(chunk, lines, sifted, cursor)
        except (_GuessedWrong, TargetRefused):
            return None
        except Refused as refused:
            _raise_unless_worth_a_look(refused)
            self._note(refused)
        return None

    def _note(self, refused: Refused) -> None:
        """Remember what to look for in what follows."""
        self._breaks_rules |= (refused.sqlstate or "").startswith(_BROKEN_RULE)
        if refused.sqlstate in (FOREIGN_KEY, UNIQUE):
            self._met.add(refused.sqlstate)

    def _try_suspects(
        self, chunk: Chunk, lines: Sequence[bytes], sifted: _Sifted, cursor: Cursor
    ) -> Counts:
        counts, places = sifted
        rows = self._maker(cursor).read(self._records_at(chunk, lines, places, cursor))
        fitted = fit(TargetRows(self.target, rows.good), cursor)
        refused = confirm(self.target, fitted.group.rows, cursor)
        if refused is None or (places and self.target.on_bad_row is OnBadRow.REJECT_JOB):
            # One that looked bad may go in, where it came; or one bad row is too much.
            raise _GuessedWrong
        refused += (*rows.bad, *fitted.misfits.items())
        quarantine([self._set_aside(row, reason) for row, reason in refused], cursor)
        return Counts(quarantined=len(refused)).plus(Counts(**counts))

    def _records_at(
        self, chunk: Chunk, lines: Sequence[bytes], places: Collection[int], cursor: Cursor
    ) -> list[Record]:
        data = b"".join(lines[place] for place in places)
        together = replace(chunk, data=data, records=len(places))
        records = self.reader.records(together, self.members(cursor))
        first_number, first_line = chunk.first_record, chunk.first_line
        return [
            replace(record, number=first_number + place, line=first_line + place)
            for place, record in zip(places, records, strict=True)
        ]

    def _plan(self, chunk: Chunk, cursor: Cursor) -> tuple[Destination, Feed, CsvRecords]:
        target, dialect = self.target, self.reader.dialect
        form = CsvForm(dialect.delimiter, dialect.quote, dialect.escape, dialect.null)
        table = see_table(target, cursor)
        destination, feed = feed_of(target, table, self.members(cursor), self.job_id, cursor)
        return destination, feed, CsvRecords(form, chunk.data, chunk.records)

    def _hold_if_altered(self, cursor: Cursor) -> None:
        """Hold the target if no record fits any more: not one by one are they to be set aside."""
        words = self.refuse_members(cursor) if self.reader.columns else None
        if words:
            raise ChunkRefused(State.HELD, f"the table was altered while a file went in: {words}")

    def _maker(self, cursor: Cursor) -> RecordRows:
        table = see_table(self.target, cursor)
        return RecordRows.of(self.job_id, self.target, table, self.reader.shape)

    def _row_by_row(self, records: Iterable[Record], cursor: Cursor) -> Counts:
        """Write records as an ingest job's rows, so many at a time as memory allows."""
        maker, counts, left = self._maker(cursor), Counts(), iter(records)
        while piece := list(islice(left, _PIECE_ROWS)):
            counts = counts.plus(self._write(piece, maker, cursor))
        return counts

    def _write(self, piece: Sequence[Record], maker: RecordRows, cursor: Cursor) -> Counts:
        rows = maker.read(piece)
        # How many may be bad is a matter of the whole file, and looked at there.
        group = TargetRows(replace(self.target, max_bad=None), rows.good)
        written, closed = write_rows([group], cursor, is_last_try=self.is_last_try)
        for one in closed.values():
            raise ChunkRefused(one.state, one.reason)
        refused = [*rows.bad, *(pair for one in written for pair in one.refused)]
        quarantine([self._set_aside(row, reason) for row, reason in refused], cursor)
        others: dict[str, int] = {}
        for _, account in (pair for one in written for pair in one.accounts):
            others[account] = others.get(account, 0) + 1
        inserted = len(piece) - len(refused) - sum(others.values())
        return Counts(inserted=inserted, quarantined=len(refused), **others)

    def _set_aside(self, row: Row, reason: Reason) -> QuarantinedRow:
        bad = QuarantinedRow(
            job_id=self.job_id,
            row_number=row.number,
            target=self.target.name,
            row=row.came,
            column=reason.column,
            sqlstate=reason.sqlstate,
            message=reason.message,
        )
        return redact(bad, self.target.hidden)


def _lines(chunk: Chunk) -> list[bytes] | None:
    """Return the records of a chunk if each is a line, and so has the server's line number."""
    lines = chunk.data.splitlines(keepends=True)
    return lines if len(lines) == chunk.records else None


def _raise_unless_worth_a_look(refused: Refused) -> None:
    if decide(refused.sqlstate, refused.phase, jobs=1) not in _WORTH_A_LOOK:
        raise refused
