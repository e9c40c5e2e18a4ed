"""Signs of life where they come from, and what it takes to ask for them."""

from pathlib import Path

import pytest

from tests.acceptance.test_light_start import HEAVY, loaded
from tests.waiting import wait_for
from worker.embedded import EmbeddedValkey
from worker.health.sign import SignsOfLife
from worker.transport.keys import Keys
from worker.transport.lease import Lease

LEASE_SECONDS = 1.0


def test_main_loop_that_stands_still_is_told(valkey_server: EmbeddedValkey) -> None:
    """A worker does well while its loop ticks; once it stands still, its lease's thread says so."""
    told: list[str] = []
    keys = Keys("health:", "ours")
    lease = Lease(valkey_server.client, keys, LEASE_SECONDS)
    lease.tell = told.append

    lease.start()
    wait_for(lambda: any("stands still" in one for one in told), what="the lease's word")
    lease.stop()

    assert "" == told[0]
    assert "the main loop stands still, the lease is not renewed" == told[-1]
    with valkey_server.client() as client:
        client.delete(keys.owners)


def test_asking_is_light(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A health check, run many times a day, loads neither Celery nor the way to Redis."""
    path = tmp_path / "alive"
    SignsOfLife(path, "worker", 3600.0).tell()
    monkeypatch.setenv("CELERIAC_ALIVE_FILE", str(path))

    found = loaded("worker", "health", "worker")

    assert {"worker.health.database", "psycopg2"} <= found
    assert set() == found & (HEAVY | {"celery", "kombu", "redis"})
