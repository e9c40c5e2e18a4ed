"""What an enqueue costs the transaction that it is in: commits a second without one and with one.

``python -m bench.caller_commits WAY DATABASE_URL CONNECTIONS SECONDS`` prints both.

A transaction is one INSERT of the application's, alone or with a second statement
behind it: ``enqueue`` is one ``celeriac.enqueue``, ``joined`` the same in the round trip of
the INSERT, ``insert`` an INSERT into an outbox as a team writes it for itself, which is what
any second statement of that size costs.
The two sorts of transaction take turns, so that whatever else the machine does is
shared. Connections have a thread each, and are spread over processes, as those of an
application are: one interpreter would be what is measured.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import psycopg2

from bench.row import INSERT, row

ENQUEUE = "SELECT celeriac.enqueue('celeriac.ingest', %(kwargs)s)"
#: The statements of a transaction, a round trip each.
ALONE = (INSERT,)
WAYS = {
    "enqueue": (INSERT, ENQUEUE),
    "joined": (f"{INSERT}; {ENQUEUE}",),
    "insert": (
        INSERT,
        "INSERT INTO bench_outbox (task, kwargs) VALUES ('celeriac.ingest', %(kwargs)s)",
    ),
}
PROCESSES = 4
ROUNDS = 5
#: Not counted: connections, plans and caches are warm after it.
WARM_UP_SECONDS = 0.2
#: So far apart are the rows of two processes.
ROWS_A_PROCESS = 1_000_000_000


def main(way: str, database_url: str, connections: int, seconds: float) -> tuple[float, float]:
    """Return commits a second without the second statement, and with it; half of the time each."""
    slice_seconds = seconds / (2 * ROUNDS)
    rates = {ALONE: 0.0, WAYS[way]: 0.0}
    with ExitStack() as stack:
        callers = [
            stack.enter_context(_caller(database_url, number, held))
            for number, held in enumerate(_spread(connections))
        ]
        for statements in rates:
            _commits_per_s(callers, WARM_UP_SECONDS, statements)
        for statements in list(rates) * ROUNDS:
            rates[statements] += _commits_per_s(callers, slice_seconds, statements)
    without, with_one = rates.values()
    return without / ROUNDS, with_one / ROUNDS


def _spread(connections: int) -> list[int]:
    """Say how many connections each process has."""
    processes = min(PROCESSES, connections)
    return [len(range(number, connections, processes)) for number in range(processes)]


@contextmanager
def _caller(database_url: str, number: int, connections: int) -> Iterator[Connection]:
    ours, its = get_context("fork").Pipe()
    first = number * ROWS_A_PROCESS
    arguments = (its, database_url, first, connections)
    process = get_context("fork").Process(target=_call, args=arguments)
    process.start()
    try:
        yield ours
        ours.send(None)
    finally:
        process.join(1)
        process.kill()


def _commits_per_s(callers: list[Connection], seconds: float, statements: tuple[str, ...]) -> float:
    began = time.monotonic()
    for caller in callers:
        caller.send((began + seconds, statements))
    count = sum(caller.recv() for caller in callers)
    return float(count) / (time.monotonic() - began)


def _call(pipe: Connection, database_url: str, first: int, connections: int) -> None:
    """Commit on so many connections whenever asked, in a process of its own."""
    numbers = itertools.count(first)
    with ExitStack() as stack:
        opened = [
            stack.enter_context(closing(psycopg2.connect(database_url))) for _ in range(connections)
        ]
        threads = stack.enter_context(ThreadPoolExecutor(connections))
        while asked := pipe.recv():
            counts = threads.map(lambda one: _commits(one, numbers, *asked), opened)
            pipe.send(sum(counts))


def _commits(
    connection: Any, numbers: Iterator[int], ends: float, statements: tuple[str, ...]
) -> int:
    count = 0
    while time.monotonic() < ends:
        _transaction(connection, next(numbers), statements)
        count += 1
    return count


def _transaction(connection: Any, number: int, statements: tuple[str, ...]) -> None:
    parameters = row(number)
    if statements != ALONE:
        parameters["kwargs"] = json.dumps({"target": "bench", "rows": [row(number)]})
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, parameters)
    connection.commit()


if __name__ == "__main__":
    print(*main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
