"""Redis is away for longer than a lease, restarts, or is cut off again and again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.proxy import FaultProxy
from tests.faults.slow_jobs import SlowJobs
from tests.faults.standstill import let_pass
from tests.faults.storm import QUICK_RECOVERY, Storm
from worker.embedded import EmbeddedValkey

LEASE_SECONDS = float(QUICK_RECOVERY["CELERIAC_LEASE_SECONDS"])
#: Slow jobs begin before Redis goes, and are let end after it came back.
SLOW_SECONDS = 120.0


@contextmanager
def behind_a_proxy(
    env: dict[str, str], valkey: EmbeddedValkey, folder: Path
) -> Iterator[tuple[Storm, FaultProxy, SlowJobs]]:
    """Start workers that reach Redis through a proxy, and load that does not need it."""
    with Storm(folder, env) as storm, FaultProxy(str(valkey.socket)) as proxy:
        storm.crew.env |= QUICK_RECOVERY | {
            "CELERIAC_BROKER_URL": proxy.redis_url(0),
            "CELERIAC_RESULT_URL": proxy.redis_url(1),
        }
        slow = SlowJobs(storm, folder)
        storm.start(seed=31, rate=40)
        yield storm, proxy, slow


@pytest.fixture
def parts(
    worker_env: dict[str, str], valkey_server: EmbeddedValkey, tmp_path: Path
) -> Iterator[tuple[Storm, FaultProxy, SlowJobs]]:
    """Workers behind a proxy under load, and slow jobs to send."""
    with behind_a_proxy(worker_env, valkey_server, tmp_path) as found:
        yield found


def assert_each_ran_once(storm: Storm, slow: SlowJobs, jobs: list[str]) -> None:
    """Consumption goes on by itself, all is accounted for, and no live job ran twice."""
    storm.advance(50)
    # A worker that was taken for dead would be recovered by now.
    let_pass(LEASE_SECONDS)
    slow.let_end()
    storm.finish().assert_clean()
    assert dict.fromkeys(jobs, 1) == slow.runs()
    assert [] == storm.recovered()
    logs = [line for worker in storm.crew.workers for line in worker.log.splitlines()]
    assert [] == [line for line in logs if "a child process was lost" in line]
    assert 2 == len(storm.crew.workers)


def test_redis_refuses_for_longer_than_a_lease(
    parts: tuple[Storm, FaultProxy, SlowJobs],
) -> None:
    """Every connection breaks and none can be made: live work stays whose it is."""
    storm, proxy, slow = parts
    jobs = slow.send(SLOW_SECONDS, SLOW_SECONDS)
    slow.wait_until_running(jobs)

    proxy.refuse()
    proxy.cut()
    let_pass(1.5 * LEASE_SECONDS)
    proxy.heal()

    assert_each_ran_once(storm, slow, jobs)


@pytest.mark.storm
def test_redis_is_silent_for_longer_than_a_lease(
    parts: tuple[Storm, FaultProxy, SlowJobs],
) -> None:
    """Packets vanish without a sign: live work stays whose it is."""
    storm, proxy, slow = parts
    jobs = slow.send(SLOW_SECONDS, SLOW_SECONDS)
    slow.wait_until_running(jobs)

    proxy.half_open()
    let_pass(1.5 * LEASE_SECONDS)
    proxy.heal()

    assert_each_ran_once(storm, slow, jobs)


def test_connections_cut_ten_times_in_three_seconds(
    parts: tuple[Storm, FaultProxy, SlowJobs],
) -> None:
    """A worker that has to connect over and over keeps what it has."""
    storm, proxy, slow = parts
    jobs = slow.send(SLOW_SECONDS, SLOW_SECONDS)
    slow.wait_until_running(jobs)

    for _ in range(10):
        proxy.cut()
        let_pass(0.3)

    assert_each_ran_once(storm, slow, jobs)


def test_redis_restarts(worker_env: dict[str, str], tmp_path: Path) -> None:
    """After a restart on its append-only file consumption goes on; live work stays whose it is."""
    valkey = EmbeddedValkey(tmp_path / "own")
    valkey.start()
    own = {"CELERIAC_BROKER_URL": valkey.url(0), "CELERIAC_RESULT_URL": valkey.url(1)}
    try:
        with Storm(tmp_path, worker_env | own) as storm:
            storm.crew.env |= QUICK_RECOVERY
            slow = SlowJobs(storm, tmp_path)
            storm.start(seed=32, rate=40)
            jobs = slow.send(SLOW_SECONDS, SLOW_SECONDS)
            slow.wait_until_running(jobs)

            valkey.stop()
            let_pass(1.5 * LEASE_SECONDS)
            valkey.start()

            assert_each_ran_once(storm, slow, jobs)
    finally:
        valkey.remove()
