"""What an enqueue costs the transaction that it is in: commits a second without one and with one.

``python -m bench.caller_commits DATABASE_URL CONNECTIONS SECONDS`` prints both.

Every connection has a thread. A transaction is one INSERT of the application's,
with one ``celeriac.enqueue`` behind it or without; the two take turns, so that
whatever else the machine does is shared.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import psycopg2

from bench.row import INSERT, row

ENQUEUE = "SELECT celeriac.enqueue('celeriac.ingest', %s)"

ROUNDS = 5
#: Not counted: connections, plans and caches are warm after it.
WARM_UP_SECONDS = 0.2


def main(database_url: str, connections: int, seconds: float) -> tuple[float, float]:
    """Return commits a second without an enqueue, and with one; half of the time each."""
    numbers = itertools.count(1)
    slice_seconds = seconds / (2 * ROUNDS)
    rates: dict[bool, float] = {False: 0.0, True: 0.0}
    with ExitStack() as stack:
        opened = [
            stack.enter_context(closing(psycopg2.connect(database_url))) for _ in range(connections)
        ]
        for enqueues in rates:
            _commits_per_s(opened, numbers, WARM_UP_SECONDS, enqueues=enqueues)
        for enqueues in list(rates) * ROUNDS:
            rates[enqueues] += _commits_per_s(opened, numbers, slice_seconds, enqueues=enqueues)
    return rates[False] / ROUNDS, rates[True] / ROUNDS


def _commits_per_s(
    opened: list[Any], numbers: Iterator[int], seconds: float, *, enqueues: bool
) -> float:
    began = time.monotonic()
    ends = began + seconds

    def commits(connection: Any) -> int:
        count = 0
        while time.monotonic() < ends:
            _transaction(connection, next(numbers), enqueues=enqueues)
            count += 1
        return count

    with ThreadPoolExecutor(len(opened)) as threads:
        count = sum(threads.map(commits, opened))
    return count / (time.monotonic() - began)


def _transaction(connection: Any, number: int, *, enqueues: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT, row(number))
        if enqueues:
            kwargs = json.dumps({"target": "bench", "rows": [row(number)]})
            cursor.execute(ENQUEUE, (kwargs,))
    connection.commit()


if __name__ == "__main__":
    print(*main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
