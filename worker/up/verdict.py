"""Say whether the main job did what it promises, in sentences."""

from dataclasses import dataclass

from postgres.overview import JobCounts, UncommittedJob

GOOD_ROWS = 27_004
BAD_ROWS = 5


@dataclass(frozen=True, slots=True)
class Findings:
    """What the ledger and the table hold after the main job."""

    sent_jobs: int
    counts: JobCounts
    uncommitted: list[UncommittedJob]
    table_rows: int


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
    return [sentence for holds, sentence in checks if not holds]
