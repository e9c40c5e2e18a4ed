"""Make an answer count: its run in PostgreSQL, its file where everybody looks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from postgres import Cursor
from postgres.errors import Phase
from postgres.report_run import Recorded, ReportRun, record_runs
from postgres.transaction import savepoint
from tasks.reports.artifacts.draft import Draft, sync_folder
from tasks.reports.artifacts.manifest import Contents, manifest
from tasks.reports.request import Request
from tasks.stores import store_troubles

_PUBLISH = "publish"


@dataclass(frozen=True, slots=True)
class Publication:
    """A sealed draft, and what it answers."""

    draft: Draft
    job_id: str
    request: Request
    contents: Contents
    #: Of the schedule that asked, if one did.
    tick: datetime | None = None
    #: By the ledger's clock, where it was read before the transaction that records it.
    began_at: datetime | None = None

    @property
    def run(self) -> ReportRun:
        """What is known of the run that wrote it."""
        return ReportRun(
            url=self.draft.url,
            rows=self.contents.rows,
            bytes=self.draft.size_bytes,
            sha256=self.draft.sha256,
            snapshot=self.contents.instant.snapshot,
            started_at=self.contents.instant.taken_at,
            lsn=self.contents.instant.lsn,
            sections=self.contents.sections,
            tick=self.tick,
            began_at=self.began_at,
        )


def publish(publications: Sequence[Publication], cursor: Cursor) -> list[ReportRun]:
    """Record the runs and publish their drafts; they count when the transaction commits.

    Raises :class:`tasks.stores.StoreTrouble`; none of the runs is then
    recorded, and the transaction goes on.
    """
    runs = [one.run for one in publications]
    asked = [(one.job_id, one.request.question) for one in publications]
    # Record before publishing: a run that lost its transaction while it stalled fails here.
    with savepoint(cursor, _PUBLISH, Phase.RECORD):
        recorded = record_runs(cursor, [(*who, run) for who, run in zip(asked, runs, strict=True)])
        for one in publications:
            if not one.draft.is_ready:
                prepare(one, recorded[one.job_id])
                one.draft.sync()
            one.draft.show()
        _sync_folders(one.draft for one in publications)
    return runs


def prepare(publication: Publication, recorded: Recorded) -> None:
    """Say in the draft's manifest what is known of its run; the draft is then to be synced.

    Whoever dies between its sync and :func:`publish` leaves a file that nobody counts
    where a store shows it at once, and nothing elsewhere.
    """
    one = publication
    one.draft.prepare(manifest(one.job_id, one.request, one.contents, one.run, recorded))


def _sync_folders(drafts: Iterable[Draft]) -> None:
    for folder in {draft.folder for draft in drafts if draft.folder is not None}:
        with store_troubles(folder):
            sync_folder(folder)
