"""Answer one report that takes long, and tell how far it is.

Its snapshot and its steps are on two connections: no transaction on the
ledger's side is open while the query runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from celeriac.contract import State
from postgres import Cursor
from postgres.progress import Overtaken
from postgres.report_question import lock_question
from postgres.report_run import EarlierRun, about_to_record
from postgres.snapshot import pin
from tasks.attended import Interrupted, attended
from tasks.kind import Outcome, Tools
from tasks.long_kind import NotNow, Steps, Stopping
from tasks.reports.artifacts.artifact import drafted
from tasks.reports.artifacts.draft import Draft
from tasks.reports.artifacts.manifest import Contents
from tasks.reports.asked import Asked, key_of
from tasks.reports.earlier import answered_by, committed, earlier_run
from tasks.reports.losses import is_loss
from tasks.reports.publish import Publication, prepare, publish
from tasks.reports.trouble import is_of_the_server, outcome_after, waits_for_the_server
from tasks.reports.write_answer import write_answer
from tasks.stores import StoreTrouble


@dataclass(slots=True)
class LongRun:
    """One run of one report, from its claim to its end in the ledger."""

    asked: Asked
    steps: Steps
    tools: Tools
    #: How old another run's answer may be; None if none will do.
    fresh_for_seconds: float | None
    #: Told that the session in which the report was read ended.
    note_loss: Callable[[str], None]
    #: Whether a query of the report's own can be to blame.
    _is_asking: bool = field(default=False, init=False)
    #: By the ledger's clock.
    _began_at: datetime | None = field(default=None, init=False)

    def run(self) -> Outcome:
        """Answer the question, or raise :class:`NotNow` to wait for who answers an equal one."""
        try:
            earlier = self._earlier()
            if earlier is not None:
                return answered_by(earlier, self.asked.job, self.asked.request)
            return self._answer()
        except StoreTrouble as error:
            raise NotNow(str(error)) from error
        except OSError as error:
            return outcome_after(error, self.asked.job.id, self.asked.request)

    def _earlier(self) -> EarlierRun | None:
        """Look for an answer that will do; while an equal job makes one, come again."""
        request, found = self.asked.request, None
        with self.steps.look() as cursor:
            self._began_at = lock_question(key_of(request, self.asked.tick), cursor)
            if self.fresh_for_seconds is not None:
                found = earlier_run(request, self.fresh_for_seconds, cursor)
        if found is None and self._began_at is None:
            raise NotNow(f"report {self.asked.name}: an equal one runs, its answer may do")
        return found

    def _answer(self) -> Outcome:
        asked = self.asked
        extension = asked.request.format.value
        with drafted(self.tools.artifacts, asked.name, asked.job.id, extension) as draft:
            try:
                contents = self._read(draft)
            except Interrupted as interrupted:
                self._note(interrupted.__cause__)
                raise interrupted.reason from interrupted
            except OSError:
                raise  # Of the disk, perhaps: the draft's own edge knows.
            except Exception as error:  # noqa: BLE001 - the report's edge
                return self._after(error)
            return self._publish(draft, contents)

    def _after(self, error: Exception) -> Outcome:
        """Return how the job ends; raises :class:`NotNow` if it waits, by itself in any case."""
        job_id, request = self.asked.job.id, self.asked.request
        self._note(error)
        if is_of_the_server(error):
            # Of the reports' server. If that is the ledger's too, the next claim says so.
            outcome = waits_for_the_server(error, job_id, request.report.name)
        else:
            outcome = outcome_after(error, job_id, request)
        if outcome.state is State.QUEUED:
            raise NotNow(outcome.error or "") from error
        return outcome

    def _note(self, error: BaseException | None) -> None:
        if self._is_asking and is_loss(error):
            self.note_loss(self.asked.job.id)

    def _read(self, draft: Draft) -> Contents:
        asked, tools = self.asked, self.tools
        seconds = asked.request.report.header.timeout_seconds or tools.report_seconds
        with tools.snapshot() as reader:
            reader.annotate(asked.note)
            with attended(self.steps, reader.interrupt) as attendance:
                instant = pin(reader, seconds)
                self._is_asking = True
                return write_answer(asked.request, instant, reader, draft, attendance.tell)

    def _publish(self, draft: Draft, contents: Contents) -> Outcome:
        """Record the run, publish its file and end the job, all in one transaction.

        A store elsewhere gets the file before: the ledger's session would stand
        silent in that transaction, and be taken for a dead run's.
        """
        asked = self.asked
        request, job_id = asked.request, asked.job.id
        publication = Publication(draft, job_id, request, contents, asked.tick, self._began_at)

        def last(cursor: Cursor) -> None:
            publish([publication], cursor)

        outcome = committed(asked.job, request, publication.run)
        try:
            if draft.is_elsewhere:
                self._send(publication)
            self.steps.end(outcome, last)
        except Overtaken:
            draft.withdraw()
            raise
        return outcome

    def _send(self, publication: Publication) -> None:
        with self.steps.look() as cursor:
            recorded = about_to_record(publication.contents.instant.taken_at, cursor)
        try:
            # Nothing interrupts a PUT: it ends, or the store is in trouble.
            with attended(self.steps, lambda: None):
                prepare(publication, recorded)
                publication.draft.sync()
        except Interrupted as interrupted:
            # A worker that stops may as well end a job of which all is done.
            if interrupted.__cause__ is not None or not isinstance(interrupted.reason, Stopping):
                publication.draft.withdraw()
                raise interrupted.reason from interrupted
