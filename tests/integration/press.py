"""Answer one report as a worker's child does: claim, run, commit; without a worker."""

from functools import partial
from pathlib import Path

from postgres.pool import Pool
from postgres.snapshot import snapshot
from postgres.transaction import transaction
from tasks.kind import Job, Outcome, Tools
from tasks.report import Report, ReportPayload

NUMBERS = (
    "/* celeriac\ntitle = 'Numbers'\nformat = 'csv'\n*/ SELECT n FROM generate_series(1, 3) AS n"
)


def run_report(
    job_id: str, pool: Pool, folder: Path, artifacts: str, text: str = NUMBERS
) -> Outcome:
    """Declare a report in this folder, and answer it by a file below these artifacts."""
    (folder / "reports").mkdir(exist_ok=True)
    (folder / "reports" / "numbers.sql").write_text(text)
    kind, payload = Report(), ReportPayload("numbers")
    kind.open(Tools(folder, artifacts, None, partial(snapshot, pool), 30.0, company_seconds=60.0))
    with transaction(pool) as cursor:
        cursor.execute(
            "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker)"
            " VALUES (%s, 'celeriac.report', 'numbers', 'committed', 1, '', 'test')",
            (job_id,),
        )
        (outcome,) = kind.run([Job(job_id, payload)], cursor)
    return outcome
