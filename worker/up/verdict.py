"""Say whether the main job did what it promises, in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from postgres.overview import JobCounts, UncommittedJob
from worker.up.report_jobs import ASKED, Reported

GOOD_ROWS = 27_004
BAD_ROWS = 5
#: Rows of the file that its table refuses; one of them is mended and comes in after all.
REFUSED_ROWS, MENDED_ROWS = 2, 1


@dataclass(frozen=True, slots=True)
class Findings:
    """What the ledger and the table hold after the main job."""

    sent_jobs: int
    counts: JobCounts
    uncommitted: list[UncommittedJob]
    table_rows: int
    #: The account of the file job, and the rows of its table.
    loaded: Mapping[str, int]
    departures: int
    reports: Sequence[Reported]


def mistakes(found: Findings) -> list[str]:
    """Return what is not as it must be; nothing if all is well."""
    counts = found.counts
    checks = (
        (
            counts.jobs == found.sent_jobs,
            f"{found.sent_jobs:,} jobs were sent, but the ledger holds {counts.jobs:,}",
        ),
        (
            counts.committed == counts.jobs,
            f"{counts.jobs - counts.committed:,} jobs are not committed"
            + "".join(f"; {job.id} is {job.state}: {job.error}" for job in found.uncommitted),
        ),
        (
            counts.rows == GOOD_ROWS + BAD_ROWS,
            f"the jobs hold {counts.rows:,} rows instead of {GOOD_ROWS + BAD_ROWS:,}",
        ),
        (
            counts.accounted == counts.rows,
            f"{counts.rows:,} rows came, but {counts.accounted:,} are accounted for",
        ),
        (
            counts.quarantined == BAD_ROWS,
            f"{counts.quarantined:,} rows are in quarantine instead of {BAD_ROWS}",
        ),
        (
            # More are welcome: whoever tried the examples has added some.
            found.table_rows >= GOOD_ROWS,
            f"public.flights holds {found.table_rows:,} rows, fewer than {GOOD_ROWS:,}",
        ),
    )
    all_checks = (*checks, *_of_the_file(found), *_of_the_reports(found))
    return [sentence for holds, sentence in all_checks if not holds]


def _of_the_file(found: Findings) -> tuple[tuple[bool, str], ...]:
    good = GOOD_ROWS - REFUSED_ROWS
    quarantined = found.loaded.get("quarantined", 0)
    return (
        (
            found.loaded["rows"] == GOOD_ROWS,
            f"the file job accounts for {found.loaded['rows']:,} rows instead of {GOOD_ROWS:,}",
        ),
        (
            quarantined == REFUSED_ROWS,
            f"{quarantined:,} rows of the file are in quarantine instead of {REFUSED_ROWS}",
        ),
        (
            found.departures == good + MENDED_ROWS,
            f"public.departures holds {found.departures:,} rows instead of {good + MENDED_ROWS:,}",
        ),
    )


def _of_the_reports(found: Findings) -> tuple[tuple[bool, str], ...]:
    came = len(found.reports)
    return (
        (came == len(ASKED), f"{came} files of reports are recorded instead of {len(ASKED)}"),
        *((False, sentence) for one in found.reports for sentence in one.mistakes),
    )
