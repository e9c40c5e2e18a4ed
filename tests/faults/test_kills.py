"""Processes die under load, at named points and at any time: nothing is lost, nothing doubled."""

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from random import Random

import pytest

from tests.faults.crash_points import Point, Victim
from tests.faults.crew import PATIENCE_SECONDS
from tests.faults.proxy import FaultProxy
from tests.faults.storm import QUICK_RECOVERY, Storm
from tests.waiting import wait_for
from worker.embedded import EmbeddedPostgres

#: How often a fault strikes: in the ordinary run of the tests, and in a long storm.
STORM = pytest.param(100, id="storm", marks=(pytest.mark.storm, pytest.mark.timeout(1800)))
strikes = pytest.mark.parametrize("times", [pytest.param(20, id="sample"), STORM])
#: Where the sample repeats in other words what another test does twenty times.
a_few_strikes = pytest.mark.parametrize("times", [pytest.param(8, id="sample"), STORM])

CHILD_POINTS = (Point.DELIVERED, Point.CLAIMED, Point.ROWS_WRITTEN)
MAIN_POINTS = (Point.ANSWERED, Point.RESULTS_STORED, Point.ANNOUNCED, Point.ACKNOWLEDGED)
WHOLE_WORKER = (
    *((point, Victim.SELF) for point in MAIN_POINTS),
    *((point, Victim.BOTH) for point in (Point.BEFORE_COMMIT, Point.AFTER_COMMIT)),
    *((point, Victim.PARENT) for point in (Point.CLAIMED, Point.BEFORE_COMMIT)),
)


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Nothing started yet."""
    with Storm(tmp_path, worker_env) as storm:
        yield storm


def assert_children_were_killed(storm: Storm, times: int) -> None:
    """Each of them told of its death, and its worker saw it and ran its jobs again."""
    killed = {kill.pid for kill in storm.points.kills()}
    assert times == len(killed)
    assert killed <= storm.crew.killed_children()
    assert times <= storm.crew.lost_children()


@strikes
def test_children_killed_before_commit(storm: Storm, times: int) -> None:
    """What their batches wrote is undone, and their jobs run again."""
    storm.start(seed=1)

    for _ in range(times):
        storm.kill_at(Point.BEFORE_COMMIT)

    storm.finish().assert_clean()
    assert_children_were_killed(storm, times)
    assert times <= storm.points.repeated_claims()


@strikes
def test_children_killed_after_commit(storm: Storm, times: int) -> None:
    """Their jobs come back, and the ledger answers that they are done."""
    storm.start(seed=2)

    for _ in range(times):
        storm.kill_at(Point.AFTER_COMMIT)

    storm.finish().assert_clean()
    assert_children_were_killed(storm, times)
    assert times <= storm.points.known_claims()


@a_few_strikes
def test_children_killed_on_the_way(storm: Storm, times: int) -> None:
    """A death before the claim, after it or after the rows leaves nothing behind."""
    storm.start(seed=3)

    for point in islice(cycle(CHILD_POINTS), times):
        storm.kill_at(point)

    storm.finish().assert_clean()
    assert_children_were_killed(storm, times)
    # Those who died before they asked the ledger asked only once.
    assert times // 2 <= storm.points.repeated_claims()


@strikes
def test_answers_to_commit_cut_off(
    storm: Storm, times: int, postgres_server: EmbeddedPostgres
) -> None:
    """A worker that cannot know whether it committed asks the ledger by running the batch again."""
    socket = f"{postgres_server.socket_dir}/.s.PGSQL.{postgres_server.port}"
    with FaultProxy(socket, postgres=True) as proxy:
        storm.crew.env["CELERIAC_DATABASE_URL"] = proxy.postgres_url(storm.database_name)
        storm.start(seed=4)

        for cut in range(1, times + 1):
            proxy.cut_commit_answers()
            wait_for(lambda: proxy.commits_cut >= cut, PATIENCE_SECONDS, f"cut {cut}")  # noqa: B023
            storm.advance()

        storm.finish().assert_clean()
        assert times == proxy.commits_cut
    assert times <= storm.points.known_claims()


@strikes
def test_whole_workers_killed(storm: Storm, times: int) -> None:
    """Others take over the jobs of a dead worker, whatever its orphans still do."""
    storm.crew.env |= QUICK_RECOVERY
    storm.crew.orphans_live = True
    # A third one, because starting takes longer than dying; few jobs are done meanwhile.
    storm.start(seed=5, workers=3, rate=20)

    for point, victim in islice(cycle(WHOLE_WORKER), times):
        storm.kill_at(point, victim)
        storm.crew.replace_dead(workers=3)

    storm.finish().assert_clean()
    assert times == len(storm.points.kills())
    assert times <= storm.crew.killed_workers()
    assert times // 2 <= storm.points.repeated_claims()
    assert 0 < storm.points.known_claims()


@a_few_strikes
def test_processes_killed_at_any_time(storm: Storm, times: int) -> None:
    """Idle or busy, child or main process: the promises hold."""
    random = Random(6)
    storm.crew.env |= QUICK_RECOVERY
    storm.start(seed=6, rate=40)

    for _ in range(times):
        storm.advance(random.randint(1, 20))
        storm.crew.kill_any(random)
        storm.crew.replace_dead()

    storm.finish().assert_clean()
    seen = len(storm.crew.killed_children()) + storm.crew.killed_workers()
    # A worker that died soon after its child told nobody of it.
    # Whether one was busy just then is chance; the named points above leave none of it.
    assert times // 2 <= seen
