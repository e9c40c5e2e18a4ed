"""Procrastinate, whose queue is PostgreSQL itself: one job, one row, one commit.

Settings: asynchronous jobs with ``--concurrency`` and a connector whose pool
is as large (procrastinate.readthedocs.io, "Configure concurrency").
"""

import os
import sys
from typing import Any

from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from bench.row import INSERT, row

CONCURRENCY = 20

app = App(
    connector=PsycopgConnector(conninfo=os.environ["BENCH_DATABASE_URL"], max_size=CONCURRENCY)
)
_pool = AsyncConnectionPool(
    os.environ["BENCH_DATABASE_URL"], min_size=4, max_size=CONCURRENCY, open=False
)


@app.task(name="bench.insert_row", queue="bench")
async def insert_row(**one: Any) -> None:
    """Insert and commit."""
    await _pool.open()
    async with _pool.connection() as connection:
        await connection.execute(INSERT, one)


if __name__ == "__main__":
    if sys.argv[1] == "schema":
        print(app.schema_manager.get_schema())
    else:
        with app.open():
            insert_row.batch_defer(*(row(number) for number in range(1, int(sys.argv[1]) + 1)))
