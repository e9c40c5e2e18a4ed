"""Taskiq on a Redis stream with asyncpg: one job, one row, one commit.

Settings: the stream broker, because it alone acknowledges (taskiq-redis,
README, "RedisStreamBroker"); uvloop, which taskiq takes where it is installed;
acknowledged when executed (taskiq-python.github.io, guide/cli, "--ack-type").
"""

import asyncio
import os
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg
from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

from bench.row import row

INSERT = "INSERT INTO bench_rows (id, name, amount, at, note) VALUES ($1, $2, $3, $4, $5)"
CONNECTIONS = 10

broker = RedisStreamBroker(os.environ["BENCH_BROKER_URL"], queue_name="bench")


class _Pool:
    #: Opened by the worker's start; asyncpg keeps the prepared statement of each connection.
    pool: asyncpg.Pool


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_pool(_: TaskiqState) -> None:
    """Open this process's connections, then tell the harness."""
    _Pool.pool = await asyncpg.create_pool(
        os.environ["BENCH_DATABASE_URL"], min_size=CONNECTIONS, max_size=CONNECTIONS
    )
    print("takes jobs", flush=True)


@broker.task(task_name="bench.insert_row")
async def insert_row(one: dict[str, Any]) -> None:
    """Insert; a lone statement commits itself."""
    await _Pool.pool.execute(
        INSERT,
        one["id"],
        one["name"],
        Decimal(one["amount"]),
        datetime.fromisoformat(one["at"]),
        one["note"],
    )


async def main(count: int) -> None:
    """Enqueue so many jobs."""
    await broker.startup()
    for number in range(1, count + 1):
        await insert_row.kiq(row(number))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
