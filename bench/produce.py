"""Enqueue jobs for Celeriac from stock Celery: ``send_task`` by name, nothing of ours imported.

``python -m bench.produce BROKER_URL COUNT uuid4|uuid7 ignore|results [WARM_UP ROWS]``

After the jobs of the warm-up, of one row each, every job has so many rows.
"""

import itertools
import secrets
import sys
import time
import uuid

from celery import Celery

from bench.row import row


def main(broker_url: str, count: str, ids: str, results: str, *sizes: str) -> None:
    """Send so many jobs; their rows are numbered from 1 on."""
    warm_up, rows = map(int, sizes or ("0", "1"))
    app = Celery("shop", broker=broker_url)
    make_id = {"uuid4": uuid.uuid4, "uuid7": uuid7}[ids]
    numbers = itertools.count(1)
    for job in range(int(count)):
        size = 1 if job < warm_up else rows
        app.send_task(
            "celeriac.ingest",
            kwargs={"target": "bench", "rows": [row(next(numbers)) for _ in range(size)]},
            queue="celeriac.ingest",
            task_id=str(make_id()),
            ignore_result=results == "ignore",
        )


def uuid7() -> uuid.UUID:
    """Make an id that begins with the time, as newer Pythons and PostgreSQL 18 do."""
    bits = time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    return uuid.UUID(int=bits | 0b10 << 62 | secrets.randbits(62))


if __name__ == "__main__":
    main(*sys.argv[1:])
