"""A plain task beside our kinds, whose process dies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from billiard.exceptions import WorkerLostError

from tests.acceptance.dying_task import QUEUE
from tests.acceptance.site import Site
from tests.faults.redis_state import places
from tests.waiting import wait_for
from tests.workers import Worker


@pytest.fixture(scope="module")
def worker(site: Site) -> Iterator[Worker]:
    """A worker that consumes a queue of plain tasks alone, and has nothing else to do."""
    options = ("-I", "tests.acceptance.dying_task")
    worker = Worker(site.env, queues=QUEUE, options=options).start()
    yield worker
    worker.kill()


def test_plain_task_whose_process_dies_runs_again(
    site: Site, worker: Worker, tmp_path: Path
) -> None:
    """At once, as often as its processes die; then its message is gone."""
    (tmp_path / "deaths").write_text("2")

    sent = site.stock.send_task("tests.dying", args=(str(tmp_path / "deaths"),), queue=QUEUE)

    assert "alive" == sent.get(timeout=60)
    wait_for(lambda: places(site.broker_url) == (0, 0), what="the message to be settled")


def test_plain_task_may_fail_with_its_process(site: Site, worker: Worker, tmp_path: Path) -> None:
    """One that says so does not run again: its result says that its process was lost."""
    (tmp_path / "deaths").write_text("9")

    sent = site.stock.send_task("tests.dying_once", args=(str(tmp_path / "deaths"),), queue=QUEUE)

    with pytest.raises(WorkerLostError):
        sent.get(timeout=60)
    wait_for(lambda: places(site.broker_url) == (0, 0), what="the message to be settled")
    assert "8" == (tmp_path / "deaths").read_text()
