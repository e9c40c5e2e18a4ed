"""Stock Celery: one job, one row, one commit.

Settings: acks_late so that a job outlives its worker (docs.celeryq.dev,
userguide/tasks "Task.acks_late"), no results where nobody reads them and a
prefetch of 64 for short jobs (userguide/optimizing).
"""

import os
import sys
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from bench.peers.connection import connection
from bench.row import INSERT, row

app = Celery("bench", broker=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    task_default_queue="bench",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=64,
    broker_connection_retry_on_startup=True,
)


@worker_ready.connect
def say_ready(**_: Any) -> None:
    """Tell the harness, who keeps the log free of a line a job."""
    print("takes jobs")


@app.task(name="bench.insert_row")
def insert_row(**one: Any) -> None:
    """Insert and commit."""
    session = connection()
    with session, session.cursor() as cursor:
        cursor.execute(INSERT, one)


if __name__ == "__main__":
    for number in range(1, int(sys.argv[1]) + 1):
        insert_row.apply_async(kwargs=row(number))
