"""Redis forgets a file job that is under way: what came by the outbox goes on all the same."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.depot_site import APP, BROKER, QUEUE, TASK, DepotSite, make_site
from tests.faults.file_points import FilePoint
from tests.integration.depot import arguments, parcels, write_csv
from tests.integration.relays import RelayProcess
from tests.workers import Worker
from worker.embedded import EmbeddedValkey

ROWS = 450


@pytest.fixture
def site(database: str, valkey_server: EmbeddedValkey, tmp_path: Path) -> DepotSite:
    """No worker yet."""
    return make_site(database, valkey_server, tmp_path)


@pytest.fixture
def relay(site: DepotSite) -> Iterator[None]:
    """A relay, as an operator starts it."""
    process = RelayProcess(site.env)
    process.start()
    yield
    process.stop()


@pytest.mark.usefixtures("relay")
def test_job_under_way_outlives_redis_and_its_worker(
    site: DepotSite, valkey_server: EmbeddedValkey, make_worker: Callable[..., Worker]
) -> None:
    """Worker and Redis's data are gone in the middle of a file; another worker ends the job."""
    file = write_csv(site.inbox / "file.csv", parcels(ROWS))
    first = make_worker(site.env, queues=QUEUE, app=APP).start()
    site.stop_at(FilePoint.STEP_COMMITTED, 2)
    kwargs = json.dumps(arguments("parcel", file))
    site.query("SELECT celeriac.enqueue(%s, %s, id => 'forgotten')", (TASK, kwargs))
    site.wait_for_stop(first.children())
    assert "working" == site.state("forgotten")

    first.kill()
    with valkey_server.client(BROKER) as client:
        client.flushdb()
    make_worker(site.env, queues=QUEUE, app=APP).start()
    site.wait_for_state("forgotten", "committed")

    assert Counter(parcels(ROWS)) == site.stored()
    assert ("committed", ROWS, ROWS, 0, None) == site.account("forgotten")
    assert [] == site.query("SELECT id FROM celeriac.outbox")
