"""Stock Celery: one small report a task, its CSV as durable as one can make a file by hand.

Settings as in ``celery_app``, but that results are kept: who asked wants to know where the file is.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from bench.peers.connection import connection

app = Celery("bench", broker=os.environ["BENCH_BROKER_URL"], backend=os.environ["BENCH_RESULT_URL"])
app.conf.update(
    task_default_queue="bench",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=64,
    broker_connection_retry_on_startup=True,
)


@worker_ready.connect
def say_ready(**_: Any) -> None:
    """Tell the harness, who keeps the log free of a line a job."""
    print("takes jobs")


@app.task(name="bench.make_report", bind=True)
def make_report(task: Any, query: str) -> dict[str, Any]:
    """Write the rows of a query: a draft, synced, under its final name, the folder synced."""
    folder = Path(os.environ["BENCH_ARTIFACTS"])
    final = folder / f"{task.request.id}.csv"
    draft = final.with_suffix(".draft")
    session = connection()
    with session, session.cursor() as cursor, draft.open("wb") as file:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER)", file)
        rows = cursor.rowcount
        file.flush()
        os.fsync(file.fileno())
    draft.rename(final)
    number = os.open(folder, os.O_RDONLY)
    os.fsync(number)
    os.close(number)
    sha256 = hashlib.sha256(final.read_bytes()).hexdigest()
    return {"url": str(final), "rows": rows, "sha256": sha256}
