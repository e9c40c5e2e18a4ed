"""Do by hand what a faultless worker does, so that the oracle can be tested without one."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import psycopg2.extensions

from tests.faults.history import History, SentJob, SentRow
from tests.faults.redis_state import redis_client

TARGETS_SQL = Path(__file__).with_name("targets.sql")

_PLACE = {
    "faults_entry": "INSERT INTO faults.entry VALUES (%(job)s, %(row)s, %(amount)s, 'note')",
    "faults_keyed": "INSERT INTO faults.keyed VALUES (%(job)s, %(row)s, %(amount)s)",
    "faults_movement": (
        "INSERT INTO faults.movement VALUES (%(job)s, %(row)s, %(account)s, %(amount)s)"
    ),
}
_SET_ASIDE = """
INSERT INTO celeriac.quarantine (job_id, row_number, target, row, sqlstate, message)
VALUES (%s, %s, %s, '{}', '22P02', 'invalid input syntax for type integer: "x"')
"""
_RECORD = """
INSERT INTO celeriac.job (id, task, subject, state, rows, inserted, quarantined, batch, digest,
                          worker, committed_at, error)
VALUES (%s, %s, %s, %s, %s, %s, %s, 1, '', 'honest', now(), %s)
"""


class HonestWorker:
    """Play producer and worker on one database and one result store."""

    def __init__(self, history: Path, database_url: str, result_url: str) -> None:
        self.history = history
        self.database_url = database_url
        self.result_url = result_url
        self.execute(TARGETS_SQL.read_text())

    def run(self, jobs: Sequence[SentJob]) -> None:
        """Send, commit and settle the jobs."""
        with History(self.history) as history:
            for job in jobs:
                history.attempt(job)
                history.ack(job.id)
        self.commit(jobs)
        for job in jobs:
            self.settle(job.id, "SUCCESS")

    def commit(self, jobs: Sequence[SentJob]) -> None:
        """Write rows, quarantine and ledger of the jobs in one transaction."""
        with self._transaction() as cursor:
            for job in jobs:
                record(cursor, job)
                place(cursor, job, job.rows)

    def settle(self, job_id: str, status: str) -> None:
        """Store a result as Celery would."""
        answer = json.dumps({"status": status, "result": None, "task_id": job_id})
        with redis_client(self.result_url) as server:
            server.set(f"celery-task-meta-{job_id}", answer)

    def forget_result(self, job_id: str) -> None:
        """Delete a result."""
        with redis_client(self.result_url) as server:
            server.delete(f"celery-task-meta-{job_id}")

    def execute(self, query: str, *values: object) -> None:
        """Run statements in a transaction of their own."""
        with self._transaction() as cursor:
            cursor.execute(query, values or None)

    @contextmanager
    def _transaction(self) -> Iterator[psycopg2.extensions.cursor]:
        with (
            closing(psycopg2.connect(self.database_url)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            yield cursor


def record(cursor: psycopg2.extensions.cursor, job: SentJob, state: str = "committed") -> None:
    """Write the ledger row of a job."""
    good, error = len(job.rows) - job.bad_rows, None if state == "committed" else "planted"
    counts = (len(job.rows), good, job.bad_rows) if state == "committed" else (len(job.rows), 0, 0)
    cursor.execute(_RECORD, (job.id, job.task, job.target, state, *counts, error))


def place(cursor: psycopg2.extensions.cursor, job: SentJob, rows: Sequence[SentRow]) -> None:
    """Write good rows into the target and bad ones into the quarantine."""
    for row in rows:
        values = {"job": job.id, "row": row.row, "amount": row.amount, "account": row.account}
        if row.is_bad:
            cursor.execute(_SET_ASIDE, (job.id, row.row, job.target))
        else:
            cursor.execute(_PLACE[job.target], values)
