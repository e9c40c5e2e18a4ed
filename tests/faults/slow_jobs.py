"""Send jobs that take their time, and count how often each ran."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from celery import Celery

from tests.faults.history import History, SentJob, SentRow
from tests.faults.slow_kind import AMOUNT, ENOUGH, QUEUE, RUNS, TARGET, TASK
from tests.faults.storm import Storm
from tests.waiting import wait_for


@dataclass(frozen=True, slots=True)
class SlowJobs:
    """The slow jobs of a storm; make them before its workers start."""

    storm: Storm
    folder: Path

    def __post_init__(self) -> None:
        self.storm.crew.env |= {
            "CELERIAC_KINDS": "tests.faults.slow_kind:SLOW,tests.faults.slow_kind:LONG",
            # They count as reports do, by their number in a batch.
            "CELERIAC_REPORT_SECONDS": "60",
            RUNS: str(self._runs),
        }
        self.storm.histories.append(self._history)

    @property
    def _runs(self) -> Path:
        return self.folder / "runs.log"

    @property
    def _history(self) -> Path:
        return self.folder / "slow.jsonl"

    def send(
        self,
        *lengths: float,
        countdown: float | None = None,
        task: str = TASK,
        queue: str = QUEUE,
    ) -> list[str]:
        """Enqueue a job for each length in seconds, as any application would."""
        app = Celery(broker=self.storm.broker_url, backend=self.storm.result_url)
        jobs = [_job(task) for _ in lengths]
        with app, History(self._history) as history:
            for job, seconds in zip(jobs, lengths, strict=True):
                history.attempt(job)
                app.send_task(
                    task,
                    kwargs={"seconds": seconds},
                    task_id=job.id,
                    queue=queue,
                    countdown=countdown,
                )
                history.ack(job.id)
        return [job.id for job in jobs]

    def let_end(self) -> None:
        """Let all of them come to their end, however long they were to take."""
        self._runs.with_name(self._runs.name + ENOUGH).touch()

    def runs(self) -> Counter[str]:
        """Count the runs of each job that has ever begun."""
        return Counter(self._runs.read_text().split()) if self._runs.exists() else Counter()

    def wait_until_running(self, jobs: list[str]) -> None:
        """Wait until all of them have begun."""
        wait_for(lambda: set(jobs) <= self.runs().keys(), what="the slow jobs to run")


def _job(task: str) -> SentJob:
    rows = (SentRow(1, AMOUNT),)
    return SentJob(f"slow-{uuid4()}", task, TARGET, rows, payload_hash="", wants_result=True)
