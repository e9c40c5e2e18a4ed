"""Processes die, stop and are told to stop in the middle of file jobs: each row goes in once."""

import os
import time
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.faults.depot_site import APP, QUEUE, SECONDS, DepotSite, make_site
from tests.faults.file_points import FilePoint, is_armed
from tests.integration.depot import parcels, write_csv
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedValkey

ROWS = 950
MakeWorker = Callable[..., Worker]
#: Passed once in every run, and not once a chunk.
ONCE = frozenset(FilePoint) - {FilePoint.COPIED, FilePoint.STEP_TAKEN, FilePoint.STEP_COMMITTED}
SAMPLE = (FilePoint.CLAIMED, FilePoint.COPIED, FilePoint.STEP_COMMITTED, FilePoint.ENDED)
STORM = (pytest.mark.storm, pytest.mark.timeout(1800))


@pytest.fixture
def site(database: str, valkey_server: EmbeddedValkey, tmp_path: Path) -> DepotSite:
    """No worker yet."""
    return make_site(database, valkey_server, tmp_path)


@pytest.fixture
def make(site: DepotSite, make_worker: MakeWorker) -> Callable[[], Worker]:
    """Make workers of one child, which suffers what it is told to."""
    return lambda: make_worker(site.env, queues=QUEUE, app=APP)



def test_dbg(site, make):
    w = make().start()
    file = write_csv(site.inbox / "f.csv", parcels(ROWS))
    site.kill_at(FilePoint.COPIED, 3)
    site.send("k", "parcel", file)
    wait_for(lambda: "lost" in w.log, 10)
    end = time.monotonic() + 1.5
    wait_for(lambda: time.monotonic() > end, 5)
    print("STATE", site.state("k"), w.children(), site.query("select pid,state,query,wait_event,application_name from pg_stat_activity where application_name like 'celeriac%'"))
    os.kill(w.pid, signal.SIGUSR1)
    site.wait_for_state("k", "committed")
    print(w.log)
    assert 0
