"""Dramatiq on Redis: one job, one row, one commit.

Settings: messages are acknowledged after the actor returned, as always in
Dramatiq; processes and threads as its guide's "Concurrency" (dramatiq.io/guide).
"""

import os
import sys
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.peers.connection import connection
from bench.row import INSERT, row

dramatiq.set_broker(RedisBroker(url=os.environ["BENCH_BROKER_URL"]))


@dramatiq.actor(queue_name="bench")
def insert_row(**one: Any) -> None:
    """Insert and commit."""
    session = connection()
    with session, session.cursor() as cursor:
        cursor.execute(INSERT, one)


if __name__ == "__main__":
    for number in range(1, int(sys.argv[1]) + 1):
        insert_row.send(**row(number))
