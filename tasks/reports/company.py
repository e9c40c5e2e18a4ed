"""Answer many small reports from one snapshot, in one transaction; nobody waits for a slow one.

Each question has a short time. The first that takes longer ends the batch, and
so does the moment at which the first answer has waited long enough: what is
finished is published, what was not begun goes first next time, and what was
cut off goes on by itself, as a report that takes long.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from celeriac.contract import State
from postgres import Cursor
from postgres.errors import PostgresError, Refused
from postgres.report_run import Recorded, name_ledger
from postgres.snapshot import Instant, pin
from postgres.snapshot_cursor import QUERY_CANCELED, SnapshotCursor
from tasks.kind import Outcome, Tools, Waits
from tasks.reports.alone import goes_alone
from tasks.reports.artifacts.artifact import Drafting
from tasks.reports.artifacts.draft import Draft
from tasks.reports.artifacts.sync_ahead import SyncAhead
from tasks.reports.asked import Asked
from tasks.reports.earlier import committed
from tasks.reports.formats.formats import writer_of
from tasks.reports.publish import Publication, prepare, publish
from tasks.reports.trouble import is_of_the_server, outcome_after, waits_for_the_server
from tasks.reports.write_answer import write_answer
from tasks.stores import StoreTrouble

_QUESTION = "question"
#: Few rows are expected; a buffer that is large comes from the kernel anew for each file.
_BUFFER_BYTES = 1 << 16
#: With less time left nothing is begun.
_LEAST_SECONDS = 0.005


class _LostAt(Exception):
    """The server, or the way to it, failed at a question."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(str(refused))
        self.refused = refused


@dataclass(frozen=True, slots=True)
class _Finished:
    """An answer that is written and not published yet."""

    asked: Asked
    publication: Publication


@dataclass(slots=True)
class Company:
    """The questions of one batch."""

    tools: Tools
    #: Told of the questions that take long.
    note_slow: Callable[[Asked], None]
    clock: Callable[[], float] = time.monotonic
    _outcomes: list[Outcome] = field(default_factory=list, init=False)
    _finished: list[_Finished] = field(default_factory=list, init=False)
    #: When the batch ends: from the first answer on, or at once.
    _ends_at: float | None = field(default=None, init=False)
    _pinned_at: float = field(default=0.0, init=False)
    _ledger: str = field(default="", init=False)
    _drafting: Drafting = field(init=False)
    _ahead: SyncAhead = field(default_factory=SyncAhead, init=False)

    def __post_init__(self) -> None:
        self._drafting = Drafting(self.tools.artifacts, _BUFFER_BYTES)

    def run(self, questions: Sequence[Asked], cursor: Cursor) -> list[Outcome]:
        """Answer what can be answered in time; an outcome for each job.

        Raises :class:`Refused` if the server is in trouble; nothing is published then.
        """
        with self._drafting, self._ahead:
            if questions:
                self._ledger = name_ledger(cursor)
                self._answer(questions)
            self._publish(cursor)
        return self._outcomes

    def _answer(self, questions: Sequence[Asked]) -> None:
        left = deque(questions)
        try:
            with self.tools.snapshot() as reader:
                self._ask_each(left, reader)
        except _LostAt as lost:
            # Only here: the snapshot's connection is back, should the pool have no other.
            self._suspect(left, lost.refused)
        except Refused as refused:
            self._wait_for_the_server(left, refused)

    def _ask_each(self, left: deque[Asked], reader: SnapshotCursor) -> None:
        """Ask one question after the other; ``left`` begins with the one that is asked."""
        self._pinned_at = self.clock()
        instant = pin(reader, self._slice)
        reader.mark(_QUESTION)
        while left:
            if self._left_seconds() < _LEAST_SECONDS:
                self._give_back(left[0])
            else:
                reader.annotate(left[0].note)
                self._try(left[0], reader, instant)
            left.popleft()

    def _suspect(self, left: Sequence[Asked], refused: Refused) -> None:
        """Tell a question that costs its session from a server that is in trouble."""
        suspect, *others = left
        # It may have crashed the server: whatever became of that, it begins alone next time.
        self.note_slow(suspect)
        self._ends_at = self.clock()
        if self._is_server_well():
            self._cut_off(suspect, has_had_its_time=True)
            left = others
        elif not self._finished:
            self._wait_for_the_server(left, refused)
            return
        # What was read before is as good as ever, and the batch ends here.
        for asked in left:
            self._give_back(asked)

    def _is_server_well(self) -> bool:
        try:
            with self.tools.snapshot() as reader:
                pin(reader, self._slice)
        except PostgresError:
            return False
        return True

    def _wait_for_the_server(self, left: Sequence[Asked], refused: Refused) -> None:
        """Have each wait by itself; if it is the ledger's server too, all wait together."""
        if not (self.tools.reads_elsewhere and is_of_the_server(refused)):
            raise refused
        self._outcomes += [
            waits_for_the_server(refused, id_, asked.name) for asked in left for id_ in asked.ids
        ]

    @property
    def _slice(self) -> float:
        return self.tools.company_seconds

    def _own_seconds(self, asked: Asked) -> float:
        """Return how long a report may take, wherever it runs."""
        return asked.request.report.header.timeout_seconds or self.tools.report_seconds

    def _left_seconds(self) -> float:
        if self._ends_at is None:
            return self._slice
        return self._ends_at - self.clock()

    def _try(self, asked: Asked, reader: SnapshotCursor, instant: Instant) -> None:
        """Answer one question; what goes wrong is its own affair."""
        left, own = self._slice, self._own_seconds(asked)
        try:
            with self._begun(asked) as draft:
                left = self._left_seconds()
                if left < _LEAST_SECONDS:
                    self._give_back(asked)
                    return
                reader.limit(min(left, own))
                self._finish(asked, self._written(asked, reader, instant, draft))
            reader.rewind()
        except Refused as refused:
            if refused.sqlstate == QUERY_CANCELED and own > left:
                self._cut_off(asked, has_had_its_time=left >= self._slice / 2)
                return
            if is_of_the_server(refused):
                raise _LostAt(refused) from refused
            self._fail(asked, refused, reader)
        except Exception as error:  # noqa: BLE001 - a question's edge: its companions go on
            self._fail(asked, error, reader)
        if self._ends_at is None:
            self._ends_at = self.clock() + self._slice

    @contextmanager
    def _begun(self, asked: Asked) -> Iterator[Draft]:
        """Do what is none of the report's time: its draft, and what is loaded at its first use."""
        draft = self._drafting.begin(asked.name, asked.job.id, asked.request.format.value)
        try:
            writer_of(asked.request.format)
            yield draft
        except OSError as error:
            draft.discard()
            raise self._drafting.trouble(error) from error
        except BaseException:
            draft.discard()
            raise

    def _written(
        self, asked: Asked, reader: SnapshotCursor, instant: Instant, draft: Draft
    ) -> Publication:
        request, began_at = asked.request, self.clock()
        contents = write_answer(request, instant, reader, draft)
        if self.clock() - began_at > self._slice:
            # Not PostgreSQL took the time, so nothing cut it off: a chart, say.
            self.note_slow(asked)
        return Publication(draft, asked.job.id, request, contents, asked.tick)

    def _finish(self, asked: Asked, publication: Publication) -> None:
        """Have the disk, or the store, take the file while the next question is answered."""
        seconds = self.clock() - self._pinned_at
        prepare(publication, Recorded(seconds, self._ledger))
        self._ahead.take(publication.draft)
        self._finished.append(_Finished(asked, publication))

    def _fail(self, asked: Asked, error: Exception, reader: SnapshotCursor) -> None:
        """End one question, and let the next find nothing of it."""
        self._end(asked, error)
        try:
            reader.rewind(at_once=True)
        except Refused:
            # There is no session any more.
            self._ends_at = self.clock()

    def _end(self, asked: Asked, error: Exception) -> None:
        self._outcomes += [outcome_after(error, id_, asked.request) for id_ in asked.ids]

    def _cut_off(self, asked: Asked, *, has_had_its_time: bool) -> None:
        """Have a question go on by itself; one that came late in the batch is first in the next."""
        self._ends_at = self.clock()
        unwanted = [id_ for id_ in asked.ids if self.tools.is_unwanted(id_)]
        self._outcomes += [Outcome(id_, State.CANCELLED, error="revoked") for id_ in unwanted]
        asked = Asked(asked.request, [j for j in asked.jobs if j.id not in unwanted], asked.tick)
        if not asked.jobs:
            return
        if not has_had_its_time:
            self._give_back(asked)
            return
        self.note_slow(asked)
        self._outcomes += goes_alone(asked)

    def _give_back(self, asked: Asked) -> None:
        self._outcomes += [Outcome(id_, State.QUEUED, waits=Waits.NOT_AT_ALL) for id_ in asked.ids]

    def _publish(self, cursor: Cursor) -> None:
        """Record and publish what is finished, in the transaction of all its jobs."""
        troubles = self._ahead.wait()
        for one in self._finished:
            if one.publication.draft in troubles:
                self._end(one.asked, troubles[one.publication.draft])
        synced = [one for one in self._finished if one.publication.draft not in troubles]
        if not synced:
            return
        try:
            runs = publish([one.publication for one in synced], cursor)
        except StoreTrouble as error:
            for one in synced:
                self._end(one.asked, error)
            return
        for one, run in zip(synced, runs, strict=True):
            asked = one.asked
            self._outcomes += [committed(job, asked.request, run) for job in asked.jobs]
