"""Which files of reports count, which are given up, and which are gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import statement

#: Runs that one transaction looks at.
SLICE_RUNS = 500


@dataclass(frozen=True, slots=True)
class Keep:
    """How long files of reports are kept, and how many of a report; no bound where None."""

    days: float | None = None
    runs: int | None = None
    #: Whatever the others say: a result that somebody waits for may name the file.
    at_least_seconds: float = 86_400.0


@dataclass(frozen=True, slots=True)
class RunFile:
    """The file of a run."""

    job_id: str
    report: str
    url: str


@dataclass(frozen=True, slots=True)
class CountedFile:
    """A file that counts, and what PostgreSQL knows of it."""

    job_id: str
    report: str
    url: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which runs: of one report or all, finished since then or ever."""

    report: str | None = None
    since: datetime | None = None


def expire_runs(keep: Keep, cursor: Cursor) -> list[RunFile]:
    """Give up a slice of the files that are too old or too many; return which.

    Their files are removed after this has committed, never before: PostgreSQL
    does not say of any file that we removed that it counts.
    """
    if keep.days is None and keep.runs is None:
        return []
    parameters = {
        "keep_seconds": min(36_500.0 if keep.days is None else keep.days, 36_500.0) * 86_400,
        "keep_runs": keep.runs,
        "keep_at_least_seconds": keep.at_least_seconds,
        "limit": SLICE_RUNS,
    }
    with refusals(Phase.RECORD):
        cursor.execute(statement("expire_report_runs"), parameters)
        return [RunFile(*row) for row in cursor.fetchall()]


def page_expired(after: str, cursor: Cursor) -> list[RunFile]:
    """Return the next runs, by job id, whose file was given up and may still be there."""
    parameters = {"after": after, "limit": SLICE_RUNS}
    with refusals(Phase.READ):
        cursor.execute(statement("page_expired_runs"), parameters)
        return [RunFile(*row) for row in cursor.fetchall()]


def note_removed(job_ids: Sequence[str], cursor: Cursor) -> None:
    """Write down that the files of these runs are gone."""
    with refusals(Phase.RECORD):
        cursor.execute(statement("note_removed_runs"), {"job_ids": list(job_ids)})


def count_counted(chosen: Chosen, cursor: Cursor) -> int:
    """Count the files that count."""
    with refusals(Phase.READ):
        cursor.execute(statement("count_runs"), {"report": chosen.report, "since": chosen.since})
        ((count,),) = cursor.fetchall()
    return int(count)


def page_counted(chosen: Chosen, after: str, cursor: Cursor) -> list[CountedFile]:
    """Return the next files that count, by job id."""
    parameters = {
        "report": chosen.report,
        "since": chosen.since,
        "after": after,
        "limit": SLICE_RUNS,
    }
    with refusals(Phase.READ):
        cursor.execute(statement("page_counted_runs"), parameters)
        return [CountedFile(*row) for row in cursor.fetchall()]


def is_counted(job_id: str, cursor: Cursor) -> bool:
    """Tell whether the file of a run counts now."""
    with refusals(Phase.READ):
        cursor.execute(statement("check_run"), {"job_id": job_id})
        ((is_counted,),) = cursor.fetchall()
    return bool(is_counted)


def named_by_runs(places: Sequence[str], cursor: Cursor) -> set[str]:
    """Return which of these places, ``report/file``, runs name whose files were not removed."""
    with refusals(Phase.READ):
        cursor.execute(statement("find_named_runs"), {"places": list(places)})
        return {place for (place,) in cursor.fetchall()}


def ledger_id(cursor: Cursor) -> str:
    """Return the identity of this ledger, as the manifests of its files have it."""
    with refusals(Phase.READ):
        cursor.execute(statement("read_ledger"))
        ((id_,),) = cursor.fetchall()
    return str(id_)
