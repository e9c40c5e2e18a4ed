"""A relay that is busy all the time is never far behind."""

import threading
import time

import pytest

from tests.integration.relays import RelayProcess, enqueue, outbox
from tests.integration.shop import create_tables, query
from tests.waiting import wait_for

STORM = pytest.param(60, id="storm", marks=pytest.mark.storm)
JOBS_A_TRANSACTION = 100
TRANSACTIONS_A_SECOND = 10
#: Behind is what is due, committed, and with no relay.
BEHIND = """
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(run_at)), 0)
    FROM celeriac.outbox WHERE epoch IS NULL AND run_at <= clock_timestamp()
"""
LATER = """
    SELECT count(*) FROM celeriac.enqueue_many(
        'celeriac.ingest', array_fill('{"target": "alpha", "rows": [{"n": 1}]}'::jsonb, ARRAY[100]),
        now() + interval '3 seconds'
    )
"""


@pytest.mark.parametrize("seconds", [3, STORM])
def test_relay_is_at_most_a_second_behind(worker_env: dict[str, str], seconds: int) -> None:
    """While 2,000 jobs a second come, half of them for later, they are taken when they are due."""
    database = worker_env["CELERIAC_DATABASE_URL"]
    create_tables(database)
    relay = RelayProcess(worker_env)
    relay.start()
    enqueue(worker_env, 1)
    wait_for(lambda: outbox(worker_env) == (0, 1), what="the relay to have connected")
    started, behind = time.monotonic(), [0.0]
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            behind.append(float(query(database, BEHIND)[0][0]))

    onlooker = threading.Thread(target=look)
    onlooker.start()
    try:
        for number in range(seconds * TRANSACTIONS_A_SECOND):
            enqueue(worker_env, JOBS_A_TRANSACTION)
            query(database, LATER)
            due = started + number / TRANSACTIONS_A_SECOND
            is_over.wait(max(0.0, due - time.monotonic()))
        wait_for(lambda: outbox(worker_env)[0] == 0, what="all to be pushed")
    finally:
        is_over.set()
        onlooker.join()
        relay.kill()

    # A host that stands still holds up the relay as well.
    assert sorted(behind)[len(behind) * 9 // 10] <= 1.0
    assert len(behind) > seconds
