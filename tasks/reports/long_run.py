"""Answer one report that takes long, and tell how far it is.

Its snapshot and its steps are on two connections: no transaction on the
ledger's side is open while the query runs.
"""

from dataclasses import dataclass

from celeriac.contract import State
from postgres import Cursor
from postgres.report_question import lock_question
from postgres.report_run import EarlierRun
from postgres.snapshot import pin
from tasks.attended import Interrupted, attended
from tasks.kind import Outcome, Tools
from tasks.long_kind import NotNow, Steps
from tasks.reports.artifact import drafted
from tasks.reports.asked import Asked, key_of
from tasks.reports.draft import Draft
from tasks.reports.earlier import answered_by, committed, earlier_run
from tasks.reports.manifest import Contents
from tasks.reports.publish import Publication, publish
from tasks.reports.trouble import outcome_after
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
            is_ours = lock_question(key_of(request, self.asked.tick), cursor)
            if self.fresh_for_seconds is not None:
                found = earlier_run(request, self.fresh_for_seconds, cursor)
        if found is None and not is_ours:
            raise NotNow(f"report {self.asked.name}: an equal one runs, its answer may do")
        return found

    def _answer(self) -> Outcome:
        asked = self.asked
        extension = asked.request.format.value
        with drafted(self.tools.artifacts, asked.name, asked.job.id, extension) as draft:
            try:
                contents = self._read(draft)
            except Interrupted as interrupted:
                raise interrupted.reason from interrupted
            except OSError:
                raise  # Of the disk, perhaps: the draft's own edge knows.
            except Exception as error:  # noqa: BLE001 - the report's edge
                return _ended(outcome_after(error, asked.job.id, asked.request))
            return self._publish(draft, contents)

    def _read(self, draft: Draft) -> Contents:
        asked, tools = self.asked, self.tools
        seconds = asked.request.report.header.timeout_seconds or tools.report_seconds
        with tools.snapshot() as reader:
            reader.annotate(asked.note)
            with attended(self.steps, reader.interrupt) as attendance:
                instant = pin(reader, seconds)
                return write_answer(asked.request, instant, reader, draft, attendance.tell)

    def _publish(self, draft: Draft, contents: Contents) -> Outcome:
        """Record the run, publish its file and end the job, all in one transaction."""
        asked = self.asked
        request, job_id = asked.request, asked.job.id
        publication = Publication(draft, job_id, request, contents, asked.tick)

        def last(cursor: Cursor) -> None:
            publish([publication], cursor)

        outcome = committed(asked.job, request, publication.run)
        self.steps.end(outcome, last)
        return outcome


def _ended(outcome: Outcome) -> Outcome:
    """Return an outcome that is an end; raises :class:`NotNow` for one that is none."""
    if outcome.state is State.QUEUED:
        raise NotNow(outcome.error or "")
    return outcome
