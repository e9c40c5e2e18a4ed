"""A file job that kills its process again and again is given up, however far it seemed to come."""

from collections.abc import Callable
from pathlib import Path

from tests.faults.depot_site import APP, QUEUE, make_site
from tests.faults.file_points import FilePoint
from tests.integration.depot import parcels, write_csv
from tests.workers import Worker
from worker.embedded import EmbeddedValkey

ROWS = 450


def test_atomic_job_that_kills_its_child_is_buried(
    database: str,
    valkey_server: EmbeddedValkey,
    tmp_path: Path,
    make_worker: Callable[..., Worker],
) -> None:
    """What an atomic job tells of its progress is undone with it, and no sign that it went on."""
    site = make_site(database, valkey_server, tmp_path)
    make_worker(site.env | {"CELERIAC_CRASH_LIMIT": "2"}, queues=QUEUE, app=APP).start()
    file = write_csv(site.inbox / "file.csv", parcels(ROWS))
    # In its third chunk, twice: each run tells of the first one before.
    site.kill_at(FilePoint.COPIED, 3)
    site.kill_at(FilePoint.COPIED, 6)

    site.send("poison", "parcel", file, atomic=True)
    site.wait_for_state("poison", "dead")

    assert 0 == site.stored().total()
