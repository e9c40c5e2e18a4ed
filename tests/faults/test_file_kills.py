"""Processes die, stop and are told to stop in the middle of file jobs: each row goes in once."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.faults.depot_site import APP, QUEUE, DepotSite, make_site
from tests.faults.file_points import FilePoint, is_armed
from tests.integration.depot import parcels, write_csv
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedValkey

ROWS = 950
MakeWorker = Callable[..., Worker]
#: Passed once in every run, and not once a chunk.
ONCE = frozenset(FilePoint) - {FilePoint.COPIED, FilePoint.STEP_TAKEN, FilePoint.STEP_COMMITTED}
SAMPLE = (FilePoint.STEP_COMMITTED,)
STORM = (pytest.mark.storm, pytest.mark.timeout(1800))


@pytest.fixture
def site(database: str, valkey_server: EmbeddedValkey, tmp_path: Path) -> DepotSite:
    """No worker yet."""
    return make_site(database, valkey_server, tmp_path)


@pytest.fixture
def make(site: DepotSite, make_worker: MakeWorker) -> Callable[[], Worker]:
    """Make workers of one child, which suffers what it is told to."""
    return lambda: make_worker(site.env, queues=QUEUE, app=APP)


@pytest.mark.parametrize(
    ("target", "points", "jobs"),
    [
        pytest.param("parcel", SAMPLE, 1, id="sample"),
        pytest.param("parcel", tuple(FilePoint), 40, id="storm", marks=STORM),
        pytest.param("last_parcel", tuple(FilePoint), 40, id="storm of updates", marks=STORM),
    ],
)
def test_child_killed_in_each_phase(
    site: DepotSite,
    make: Callable[[], Worker],
    target: str,
    points: Sequence[FilePoint],
    jobs: int,
) -> None:
    """A file job whose child dies in every phase goes on where it was, and counts each row once."""
    make().start()
    for job in range(jobs):
        file = write_csv(site.inbox / f"{job}.csv", parcels(ROWS))
        site.query(f"TRUNCATE depot.{target}")
        for place, point in enumerate(points):
            site.kill_at(point, 1 if point in ONCE else 2 + (place + job) % 7)

        site.send(f"killed-{job}", target, file)
        site.wait_for_state(f"killed-{job}", "committed")

        assert not is_armed(site.points)
        assert Counter(parcels(ROWS)) == site.stored(target)
        assert ("committed", ROWS, ROWS, 0, None) == site.account(f"killed-{job}")


@pytest.mark.storm
def test_worker_killed_in_a_file(site: DepotSite, make: Callable[[], Worker]) -> None:
    """A file job whose whole worker dies goes on in another one."""
    first = make().start()
    file = write_csv(site.inbox / "file.csv", parcels(ROWS))
    site.stop_at(FilePoint.COPIED, 5)
    site.send("moved", "parcel", file)
    site.wait_for_stop(first.children())

    first.kill()
    make().start()
    site.wait_for_state("moved", "committed")

    assert Counter(parcels(ROWS)) == site.stored()
    assert ("committed", ROWS, ROWS, 0, None) == site.account("moved")


@pytest.mark.storm
def test_child_that_wakes_late_writes_nothing(site: DepotSite, make: Callable[[], Worker]) -> None:
    """A child stops in mid-step while another worker ends its job: what it then does is undone."""
    first = make().start()
    file = write_csv(site.inbox / "file.csv", parcels(ROWS))
    site.stop_at(FilePoint.COPIED, 5)
    site.send("late", "parcel", file)
    child = site.wait_for_stop(first.children())
    # Its main process dies, but nobody tells the child; its connection breaks on the way.
    first.kill(children=False)
    site.query(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    make().start()
    site.wait_for_state("late", "committed")

    os.kill(child, signal.SIGCONT)
    wait_for(lambda: not is_alive(child), what="the child to end")

    assert Counter(parcels(ROWS)) == site.stored()
    assert ("committed", ROWS, ROWS, 0, None) == site.account("late")


@pytest.mark.storm
def test_stopping_worker_leaves_the_rest_to_another(
    site: DepotSite, make: Callable[[], Worker]
) -> None:
    """A warm shutdown waits for a step, not for a file; the job is not blamed for anything."""
    first = make().start()
    file = write_csv(site.inbox / "file.csv", parcels(ROWS))
    site.stop_at(FilePoint.COPIED, 3)
    site.send("left", "parcel", file)
    child = site.wait_for_stop(first.children())
    os.kill(first.pid, signal.SIGTERM)
    wait_for(lambda: "Warm shutdown" in first.log, what="the worker to hear it")

    os.kill(child, signal.SIGCONT)
    wait_for(lambda: not first.is_running, what="the worker to end")

    assert ("working", 300) == (site.state("left"), site.stored().total())
    second = make().start()
    site.wait_for_state("left", "committed")
    assert Counter(parcels(ROWS)) == site.stored()
    assert "lost" not in second.log


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
