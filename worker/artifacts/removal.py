"""Remove files of reports that are given up, that nobody counts, or that were never finished.

Safe to be killed anywhere, and to run twice at once: a file is given up in
PostgreSQL before it is removed, and noted as removed after that.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from postgres.errors import Phase
from postgres.report_files import (
    SLICE_RUNS,
    Keep,
    RunFile,
    expire_runs,
    ledger_id,
    named_by_runs,
    note_removed,
    page_expired,
)
from postgres.transaction import Lender, transaction, trial
from tasks.reports.artifacts.archive import Archive, Found, artifact_of
from tasks.stores import StoreTrouble

_NOT_OURS = "its URL is no place below ARTIFACTS where a worker would write"

#: What nobody counts, or has not finished, after so long is left over: no run takes this long.
_GRACE_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Removal:
    """A file that was removed, or is left alone for a reason."""

    url: str
    left: str | None = None


def grace_seconds(report_seconds: float) -> float:
    """Return after how long a file that nobody counts is no running report's."""
    return max(_GRACE_SECONDS, 2 * report_seconds)


def expire(keep: Keep, pool: Lender) -> int:
    """Give up a slice of the files that are too old or too many; return how many."""
    with transaction(pool) as cursor:
        return len(expire_runs(keep, cursor))


def would_expire(keep: Keep, pool: Lender) -> Iterator[RunFile]:
    """Yield the files that would be given up now; nothing changes."""
    with transaction(pool) as cursor, trial(cursor, "dry_run", Phase.RECORD):
        while found := expire_runs(keep, cursor):
            yield from found


def remove_expired(archive: Archive, pool: Lender) -> Iterator[Removal]:
    """Remove the files that were given up, and note that they are gone."""
    after = ""
    while True:
        with transaction(pool) as cursor:
            page = page_expired(after, cursor)
        if not page:
            return
        removals = [(one.job_id, _remove(one, archive)) for one in page]
        gone = [job_id for job_id, removal in removals if removal.left is None]
        with transaction(pool) as cursor:
            note_removed(gone, cursor)
        yield from (removal for _, removal in removals)
        after = page[-1].job_id


def uncounted(
    archive: Archive, pool: Lender, older_than: float, report: str | None = None
) -> Iterator[Found]:
    """Yield files of this ledger, last written before that time, that no run names.

    A worker that dies between publishing and COMMIT leaves one. A file whose
    manifest speaks of another ledger, or of none, is another one's.
    """
    with transaction(pool) as cursor:
        ours = ledger_id(cursor)
    old = (one for one in archive.published(report) if one.changed_at < older_than)
    while some := list(islice(old, SLICE_RUNS)):
        with transaction(pool) as cursor:
            named = named_by_runs([artifact_of(one) for one in some], cursor)
        for one in some:
            artifact = artifact_of(one)
            # A manifest goes with its artifact, and after it: it says whose that is.
            is_part = one.place != artifact and archive.exists(artifact)
            if artifact not in named and not is_part and archive.ledger_of(artifact) == ours:
                yield one


def stale_drafts(archive: Archive, older_than: float) -> Iterator[Found]:
    """Yield drafts that nobody has written to since that time."""
    return (one for one in archive.drafts() if one.changed_at < older_than)


def remove_found(found: Iterable[Found], archive: Archive) -> Iterator[Removal]:
    """Remove files that were come across, each with its manifest."""
    for one in found:
        archive.remove(artifact_of(one))
        yield Removal(archive.shelf.url(one.place))


def _remove(run: RunFile, archive: Archive) -> Removal:
    place = archive.place(run.url)
    if place is None:
        return Removal(run.url, _NOT_OURS)
    try:
        archive.remove(place)
    except StoreTrouble as error:
        return Removal(run.url, str(error))
    return Removal(run.url)
