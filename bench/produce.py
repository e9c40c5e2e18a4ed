"""Enqueue jobs for Celeriac from stock Celery: ``send_task`` by name, nothing of ours imported.

``python -m bench.produce BROKER_URL COUNT uuid4|uuid7 ignore|results``
"""

import secrets
import sys
import time
import uuid

from celery import Celery

from bench.row import row


def main(broker_url: str, count: str, ids: str, results: str) -> None:
    """Send one job for each row."""
    app = Celery("shop", broker=broker_url)
    make_id = {"uuid4": uuid.uuid4, "uuid7": uuid7}[ids]
    for number in range(1, int(count) + 1):
        app.send_task(
            "celeriac.ingest",
            kwargs={"target": "bench", "rows": [row(number)]},
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
