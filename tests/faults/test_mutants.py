"""The test of the tests: a worker with a planted defect does not get past the oracle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.crash_points import MUTANT, Point, Victim
from tests.faults.storm import QUICK_RECOVERY, Storm
from tests.waiting import wait_for

#: A dead worker's jobs have come back by the time that its successor is up.
INSTANT_RECOVERY = QUICK_RECOVERY | {"CELERIAC_LEASE_SECONDS": "1"}
WHOLE_WORKER = (Point.BEFORE_COMMIT, Victim.BOTH)
UNDONE = (Point.BEFORE_COMMIT, Victim.SELF)
DONE = (Point.AFTER_COMMIT, Victim.SELF)

#: Without a defect these two are what test_kills.py does all the time.
STORM = pytest.mark.storm

Death = tuple[Point, Victim]


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Workers that a defect can be planted in."""
    with Storm(tmp_path, worker_env | INSTANT_RECOVERY) as storm:
        storm.crew.app = "tests.faults.mutants"
        yield storm


@pytest.mark.parametrize(
    ("defect", "death", "violation"),
    [
        ("acknowledge early", WHOLE_WORKER, "lost"),
        pytest.param("tell before commit", WHOLE_WORKER, "status_lies", marks=STORM),
        ("tell plain jobs before commit", WHOLE_WORKER, "status_lies"),
        ("ignore the ledger", DONE, "duplicated"),
        pytest.param("commit the ledger apart", UNDONE, "duplicated", marks=STORM),
    ],
)
def test_a_planted_defect_is_caught(
    storm: Storm, defect: str, death: Death, violation: str
) -> None:
    """One death at the right point is enough."""
    assert violation in violations_after(storm, defect, death)


@pytest.mark.parametrize(
    "death", [pytest.param(death, marks=STORM) for death in (WHOLE_WORKER, UNDONE, DONE)]
)
def test_the_same_death_without_a_defect_is_none(storm: Storm, death: Death) -> None:
    """What the defects are caught by is their own doing."""
    assert set() == violations_after(storm, "none", death)


def violations_after(storm: Storm, defect: str, death: Death) -> set[str]:
    """Let a process die in the middle of a few jobs; return what the oracle finds."""
    storm.crew.env[MUTANT] = defect
    storm.load.start(seed=9, jobs=30, rate=1000, bad_share=0)
    storm.load.wait()
    storm.points.arm(*death)
    storm.crew.add()
    wait_for(storm.points.kills, what="a process to die")
    if death is WHOLE_WORKER:
        # It told before it died: until it has, it would be taken for its own successor.
        wait_for(lambda: not storm.crew.living(), what="its worker to be gone")
    # What is under way now is not lost; what is told now has to be true already.
    told = any("SUCCESS, the ledger says" in lie for lie in storm.judge().status_lies)
    storm.crew.replace_dead(workers=1)
    storm.drain()
    found = set(storm.judge().violations())
    return found | {"status_lies"} if told else found
