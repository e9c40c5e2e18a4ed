"""Signs of life where they come from, and what it takes to ask for them."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tests.acceptance.test_light_start import HEAVY, loaded
from tests.waiting import wait_for
from tests.workers import Worker
from worker.commands.health import health
from worker.embedded import EmbeddedValkey
from worker.health.sign import Sign, SignsOfLife, judge, read_sign
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


def test_worker_is_judged_by_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
    worker_env: dict[str, str],
    make_worker: Callable[..., Worker],
    tmp_path: Path,
) -> None:
    """Without the reports' database one that ingests does well, and one of reports does not."""
    path = tmp_path / "alive"
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    env = worker_env | {"CELERIAC_ALIVE_FILE": str(path), "CELERIAC_REPORT_DATABASE_URL": nowhere}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    worker = make_worker(env).start()
    wait_for(lambda: not judge(read_sign(path), "worker", time.monotonic()), what="a sign of life")

    of_ingest = CliRunner().invoke(health, ["worker"])
    sign = read_sign(path)
    assert sign is not None
    worker.kill()
    path.write_bytes(msgspec.json.encode(_reading(sign)))
    of_reports = CliRunner().invoke(health, ["worker"])

    assert (0, "the worker does well\n") == (of_ingest.exit_code, of_ingest.output)
    assert 1 == of_reports.exit_code
    assert "PostgreSQL does not answer" in of_reports.output


def _reading(sign: Sign) -> Sign:
    return msgspec.structs.replace(sign, reads_reports=True, within_seconds=3600.0)
