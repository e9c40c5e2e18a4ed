"""Another kombu transport is put in at the one seam, without any other change."""

from collections.abc import Iterator

import pytest

from tests.acceptance.site import QUEUE, Site
from tests.workers import Worker

CONSUMED, READ = "swapped:consumed", "swapped:read"


@pytest.fixture(scope="module")
def worker(site: Site) -> Iterator[Worker]:
    """A worker whose application was started on another transport."""
    worker = Worker(site.env, app="tests.acceptance.swapped_app").start()
    yield worker
    worker.kill()


def test_worker_runs_on_another_transport(site: Site, worker: Worker) -> None:
    """Jobs of stock producers come through the other transport, commit and settle."""
    results = [site.send(f"job-{n}", "alpha", [{"n": n}]) for n in range(20)]

    whole = {"rows": 1, "inserted": 1, "quarantined": 0}
    assert [whole] * 20 == [result.get(timeout=60) for result in results]
    site.wait_until_settled()
    assert [(20,)] == site.query("SELECT count(*) FROM shop.alpha")
    assert site.redis.sismember(CONSUMED, QUEUE)
    assert 0 < int(site.redis.get(READ)) <= 20
