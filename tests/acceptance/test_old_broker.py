"""A worker refuses a Redis that is too old, in words, and before it takes anything."""

from collections.abc import Callable
from pathlib import Path

from tests.acceptance.old_redis import OldRedis
from tests.acceptance.site import Site
from tests.waiting import wait_for
from tests.workers import Worker

START_SECONDS = 60.0


def test_worker_does_not_start_on_an_old_redis(
    site: Site, make_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    """It ends, not with status 0, naming version, place and what is needed; the job stays."""
    site.valkey.client().flushdb()
    with OldRedis(site.valkey.socket, tmp_path) as old, site.valkey.client() as redis:
        redis.lpush("celeriac.ingest", "a job")
        worker = make_worker(site.env | {"CELERIAC_BROKER_URL": old.url}).start(wait=False)
        wait_for(lambda: not worker.is_running, START_SECONDS, "the worker to end")

        assert [b"a job"] == redis.lrange("celeriac.ingest", 0, -1)
        assert [] == redis.keys("celeriac:*")
    assert f"Redis 6.0.9 at {old.socket} is too old: 6.2 or newer, or Valkey" in worker.log
    assert "Traceback" not in worker.log
    assert worker.returncode not in (0, None)
