"""Send ingest jobs of one row each, as large as asked for, with a history for the oracle."""

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from celery import Celery
from celery.result import AsyncResult

from tests.faults.history import History, SentJob, SentRow
from tests.faults.storm import Storm
from tests.faults.workload import TASK

TARGET = "faults_entry"


@dataclass(frozen=True, slots=True)
class Entries:
    """Rows for the table that has no key, one a job."""

    storm: Storm
    history: Path

    def __post_init__(self) -> None:
        self.storm.histories.append(self.history)

    def send(self, jobs: int = 1, *, note_bytes: int = 0) -> list[AsyncResult]:
        """Enqueue so many jobs as any application would; return their results to come."""
        app = Celery(
            broker=self.storm.broker_url, backend=self.storm.result_url, set_as_current=False
        )
        with app, History(self.history) as history:
            return [_send(app, history, note_bytes) for _ in range(jobs)]


def _send(app: Celery, history: History, note_bytes: int) -> AsyncResult:
    job = SentJob(f"entry-{uuid4()}", TASK, TARGET, (SentRow(1, 1),), "", wants_result=True)
    row = {"job": job.id, "row": 1, "amount": 1, "note": "x" * note_bytes}
    history.attempt(job)
    result = app.send_task(
        TASK, kwargs={"target": TARGET, "rows": [row]}, task_id=job.id, queue=TASK
    )
    history.ack(job.id)
    return result
