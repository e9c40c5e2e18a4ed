"""Whole workers die under load, at named points and at any time: nothing is lost or doubled."""

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from random import Random

import pytest

from tests.faults.crash_points import Point, Victim
from tests.faults.storm import QUICK_RECOVERY, Storm

MAIN_POINTS = (Point.ANSWERED, Point.RESULTS_STORED, Point.ANNOUNCED, Point.ACKNOWLEDGED)
DEATHS = (
    *((point, Victim.BOTH) for point in (Point.AFTER_COMMIT, Point.BEFORE_COMMIT)),
    *((point, Victim.PARENT) for point in (Point.CLAIMED, Point.BEFORE_COMMIT)),
    *((point, Victim.SELF) for point in MAIN_POINTS),
)

#: How often a fault strikes: a few times in the ordinary run, often in a long storm.
strikes = pytest.mark.parametrize(
    "times",
    [
        pytest.param(3, id="sample"),
        pytest.param(100, id="storm", marks=(pytest.mark.storm, pytest.mark.timeout(1800))),
    ],
)


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Nothing started yet; a dead worker's jobs come back soon."""
    with Storm(tmp_path, worker_env) as storm:
        storm.crew.env |= QUICK_RECOVERY
        yield storm


@strikes
def test_whole_workers_killed(storm: Storm, times: int) -> None:
    """Others take over the jobs of a dead worker, whatever its orphans still do."""
    storm.crew.orphans_live = True
    # A third one, because starting takes longer than dying; few jobs are done meanwhile.
    storm.start(seed=5, workers=3, rate=20)

    for point, victim in islice(cycle(DEATHS), times):
        storm.kill_at(point, victim)
        storm.crew.replace_dead(workers=3)

    storm.finish().assert_clean()
    assert times == len(storm.points.kills())
    assert times <= storm.crew.killed_workers()
    assert times // 2 <= storm.points.repeated_claims()
    assert 0 < storm.points.known_claims()


@pytest.mark.storm
@strikes
def test_processes_killed_at_any_time(storm: Storm, times: int) -> None:
    """Idle or busy, child or main process: the promises hold."""
    random = Random(6)
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
