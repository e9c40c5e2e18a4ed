"""Workers that die again and again: whoever was only nearby is never buried for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.faults.crash_points import Point
from tests.faults.killer_kind import DEATHS, QUEUE, TASK
from tests.faults.redis_state import places
from tests.faults.storm import QUICK_RECOVERY, Storm
from tests.waiting import PATIENCE_SECONDS, wait_for

CRASH_LIMIT = 2
JOBS = 150
NEIGHBOURS = 20

_DEAD = "SELECT id, error FROM celeriac.job WHERE state = 'dead'"


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Nothing started yet; few deaths bury a job."""
    with Storm(tmp_path, worker_env) as storm:
        storm.crew.env |= QUICK_RECOVERY | {"CELERIAC_CRASH_LIMIT": str(CRASH_LIMIT)}
        yield storm


@pytest.mark.parametrize(
    ("point", "crashes"),
    [
        pytest.param(Point.HANDED_OVER, CRASH_LIMIT + 1, id="handed over"),
        pytest.param(Point.GATHERED, 5, id="gathered", marks=pytest.mark.storm),
        pytest.param(Point.RESERVED, 5, id="reserved", marks=pytest.mark.storm),
    ],
)
def test_crashes_bury_no_bystander(storm: Storm, point: Point, crashes: int) -> None:
    """The same jobs wait, or are with a child, at every crash; in the end all are committed."""
    storm.load.start(seed=51, jobs=JOBS, rate=0)
    storm.load.wait()

    for crash in range(1, crashes + 1):
        storm.points.arm(point)
        storm.crew.add()
        wait_for(lambda: len(storm.points.kills()) >= crash, what=f"crash {crash}")  # noqa: B023
        assert JOBS == sum(places(storm.broker_url)), "jobs ended before the last crash"
    storm.crew.replace_dead()

    wait_for(lambda: storm.ended() == JOBS, what="all jobs to end")
    assert [] == storm.execute(_DEAD)
    storm.finish().assert_clean()


@pytest.mark.storm
def test_a_lone_job_is_not_blamed_for_the_first_death(storm: Storm) -> None:
    """A worker dies of something else with the only job that came: even one death is too many."""
    storm.crew.env["CELERIAC_CRASH_LIMIT"] = "1"
    storm.crew.start(1)
    storm.points.arm(Point.HANDED_OVER)

    storm.load.start(seed=52, jobs=1, rate=0)
    wait_for(storm.points.kills, what="the crash")
    storm.crew.replace_dead(workers=1)

    wait_for(lambda: storm.ended() == 1, what="the job to end")
    assert [] == storm.execute(_DEAD)
    storm.finish().assert_clean()


def test_poison_that_ends_the_whole_worker_is_buried(storm: Storm, tmp_path: Path) -> None:
    """A job whose runs take the main process along is buried alone; its neighbours commit."""
    deaths = tmp_path / "deaths"
    storm.crew.env |= {
        "CELERIAC_KINDS": "tests.faults.killer_kind:KILLER",
        DEATHS: str(deaths),
    }
    producer = Celery(broker=storm.broker_url, backend=storm.result_url, set_as_current=False)
    sent = [
        producer.send_task(
            TASK, kwargs={"poison": number == NEIGHBOURS // 2, "takes_parent": True}, queue=QUEUE
        )
        for number in range(NEIGHBOURS + 1)
    ]
    poison = sent.pop(NEIGHBOURS // 2)

    def all_ended() -> bool:
        storm.crew.replace_dead(workers=1)
        return storm.ended() == NEIGHBOURS + 1

    wait_for(all_ended, 2 * PATIENCE_SECONDS, "every job to end, under a supervisor")

    together, *alone = (int(line) for line in deaths.read_text().split())
    assert together > 1, "the poison was alone from the start: nobody was in danger"
    assert [1] * CRASH_LIMIT == alone
    ((buried, error),) = storm.execute(_DEAD)
    assert poison.id == buried
    assert f"its process died {CRASH_LIMIT} times while it ran alone" in error
    assert {"SUCCESS"} == {one.status for one in sent}
    assert CRASH_LIMIT + 1 == storm.crew.killed_workers()
