"""Make an answer count: its run in PostgreSQL, its file where everybody looks."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postgres import Cursor
from postgres.errors import Phase
from postgres.report_run import Recorded, ReportRun, record_runs
from postgres.transaction import savepoint
from tasks.reports.artifacts.draft import Draft, sync_folder
from tasks.reports.artifacts.manifest import Contents, manifest
from tasks.reports.request import Request
from tasks.stores import store_troubles

_PUBLISH = "publish"
#: Files that are synced at a time: the file system brings them to the disk together.
_SYNCS = 8


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
        manifests = [
            manifest(one.job_id, one.request, one.contents, run, recorded[one.job_id])
            for one, run in zip(publications, runs, strict=True)
        ]
        _show([one.draft for one in publications], manifests)
    return runs


def send(publication: Publication, recorded: Recorded) -> None:
    """Put a file into its store ahead of :func:`publish`, which then only records its run.

    Whoever dies in between leaves a file that nobody counts, as one does that
    dies before COMMIT. Raises :class:`tasks.stores.StoreTrouble`.
    """
    one = publication
    one.draft.send(manifest(one.job_id, one.request, one.contents, one.run, recorded))


def _show(drafts: Sequence[Draft], manifests: Sequence[Mapping[str, Any]]) -> None:
    """Publish drafts; many together are synced side by side, and their folders once."""
    pairs = list(zip(drafts, manifests, strict=True))
    if len(pairs) == 1:
        drafts[0].publish(manifests[0])
        return
    for draft, words in pairs:
        draft.prepare(words)
    with ThreadPoolExecutor(_SYNCS, thread_name_prefix="sync") as threads:
        list(threads.map(lambda draft: draft.sync(), drafts))
        # A store takes some time for each, however small it is.
        list(threads.map(lambda pair: pair[0].publish(pair[1]), pairs))
    for folder in {draft.folder for draft in drafts if draft.folder is not None}:
        with store_troubles(str(folder)):
            sync_folder(folder)
