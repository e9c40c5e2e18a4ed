"""Children die under load, and answers are cut off: nothing is lost, nothing doubled."""

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.faults.crash_points import Point
from tests.faults.proxy import FaultProxy
from tests.faults.storm import Storm
from tests.waiting import wait_for
from worker.embedded import EmbeddedPostgres

#: How often a fault strikes: in the ordinary run of the tests, and in a long storm.
STORM = pytest.param(100, id="storm", marks=(pytest.mark.storm, pytest.mark.timeout(1800)))
strikes = pytest.mark.parametrize("times", [pytest.param(2, id="sample"), STORM])
#: Where a sample would say in other words what another test says.
long_strikes = pytest.mark.parametrize("times", [STORM])

CHILD_POINTS = (Point.DELIVERED, Point.CLAIMED, Point.ROWS_WRITTEN)


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


@long_strikes
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
            wait_for(lambda: proxy.commits_cut >= cut, what=f"cut {cut}")  # noqa: B023
            storm.advance()

        storm.finish().assert_clean()
        assert times == proxy.commits_cut
    assert times <= storm.points.known_claims()
