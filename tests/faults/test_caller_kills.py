"""Applications die around the COMMIT of their own transaction."""

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing

import pytest

from tests.faults.doomed_caller import NAME
from tests.integration.relays import RelayProcess, outbox
from tests.integration.shop import CATALOG, create_tables, query
from tests.waiting import wait_for
from tests.workers import ROOT, Worker

STORM = pytest.param(100, id="storm", marks=(pytest.mark.storm, pytest.mark.timeout(1800)))
#: Numbers of one caller; none comes so far.
ROOM = 1_000_000
CALLERS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"


def kill_a_caller(env: Mapping[str, str], first: int, word: str, lines: int) -> list[int]:
    """Kill a caller when it has said the word so often; return what it knows as committed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.doomed_caller", str(first)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'client' / 'src'}", **env},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = []
    with closing(process.stdout):
        for line in process.stdout:
            said.append(line.split())
            lines -= said[-1][0] == word
            if lines == 0:
                process.kill()
        process.wait()
    assert -9 == process.returncode
    return [int(number) for what, number in said if what == "committed"]


@pytest.mark.parametrize("kills", [3, STORM])
def test_callers_killed_around_their_commit(worker_env: dict[str, str], kills: int) -> None:
    """What a caller's transaction wrote and what it enqueued are both there once, or neither is."""
    database = worker_env["CELERIAC_DATABASE_URL"]
    create_tables(database)
    query(database, "CREATE TABLE shop.ordered (n integer PRIMARY KEY)")
    env = worker_env | {"CELERIAC_CATALOG": str(CATALOG)}
    relay, worker = RelayProcess(env), Worker(env)
    known: list[int] = []
    try:
        relay.start()
        worker.start()
        for number in range(kills):
            word = ("committing", "committed")[number % 2]
            known += kill_a_caller(env, number * ROOM, word, random.Random(number).randint(1, 60))
        # The server may still be at a COMMIT that it got before the kill.
        wait_for(lambda: not query(database, CALLERS, (NAME,)), what="the callers' backends to end")
        wait_for(lambda: outbox(env) == (0, 0), what="all jobs to end")
    finally:
        relay.kill()
        worker.kill()

    ordered = [n for (n,) in query(database, "SELECT n FROM shop.ordered ORDER BY n")]
    done = [n for (n,) in query(database, "SELECT n FROM shop.alpha ORDER BY n")]
    assert ordered == done
    assert set(known) <= set(done)
    assert [] == [n for n in done if n % 3 == 0]
