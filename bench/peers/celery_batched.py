"""Celery's jobs of one row each, inserted together: the batching that a team writes for itself.

A ``Task.Strategy`` collects requests in the main process and hands up to 500
to the pool as one call; they are acknowledged after its commit.
"""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready
from celery.worker.request import Request
from kombu.utils.json import loads
from psycopg2.extras import execute_values

from bench.peers.connection import connection

BATCH_JOBS = 500
LINGER_SECONDS = 0.01

app = Celery("bench", broker=os.environ["BENCH_BROKER_URL"])
app.conf.update(
    task_default_queue="bench",
    task_acks_late=True,
    task_ignore_result=True,
    # Two batches in the pool and the next one collecting.
    worker_prefetch_multiplier=BATCH_JOBS * 3 // 2,
    broker_connection_retry_on_startup=True,
)


@worker_ready.connect
def say_ready(**_: Any) -> None:
    """Tell the harness, who keeps the log free of a line a job."""
    print("takes jobs")


@app.task(name="bench.insert_row", Strategy="bench.peers.celery_batched:strategy")
def insert_row(**one: Any) -> None:
    """Stand for the jobs of a batch; never called alone."""


def insert_batch(bodies: list[bytes]) -> None:
    """Insert the rows of a batch and commit; runs in a child of the pool."""
    rows = [loads(body)[1] for body in bodies]
    session = connection()
    with session, session.cursor() as cursor:
        execute_values(
            cursor,
            "INSERT INTO bench_rows (id, name, amount, at, note) VALUES %s",
            rows,
            template="(%(id)s, %(name)s, %(amount)s, %(at)s, %(note)s)",
            page_size=BATCH_JOBS,
        )


def strategy(task: Any, app: Any, consumer: Any) -> Any:
    """Collect requests until a batch is full or its oldest has lingered."""
    waiting: list[Request] = []

    def receive(message: Any, _body: Any, ack: Any, reject: Any, *_: Any, **__: Any) -> None:
        options = {"app": app, "task": task, "on_ack": ack, "on_reject": reject}
        request = Request(message, hostname=consumer.hostname, eventer=None, **options)
        waiting.append(request)
        if len(waiting) >= BATCH_JOBS:
            flush()
        elif len(waiting) == 1:
            consumer.timer.call_after(LINGER_SECONDS, flush)

    def flush() -> None:
        batch, waiting[:] = waiting[:], []
        if not batch:
            return

        def on_commit(_: Any) -> None:
            for request in batch:
                request.acknowledge()

        def on_failure(_: Any) -> None:
            for request in batch:
                request.reject(requeue=True)

        bodies = [request.body for request in batch]
        consumer.pool.apply_async(
            insert_batch, (bodies,), callback=on_commit, error_callback=on_failure
        )

    return receive
