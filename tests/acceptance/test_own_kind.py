"""A user's own kind of work has what the built-in ones have: batches, burial, exactly once."""

from collections.abc import Iterator

import pytest
from celery.result import AsyncResult

from tests.acceptance.site import Site
from tests.acceptance.transfer_kind import NAME
from tests.integration.batches import body_of, child_on, settle_each
from tests.waiting import wait_for
from tests.workers import Worker
from worker.delivery import Delivery, Fate

KINDS = "tests.acceptance.transfer_kind:KIND"


@pytest.fixture(scope="module")
def worker(site: Site) -> Iterator[Worker]:
    """A worker that consumes only the own kind's queue."""
    worker = Worker(site.env | {"CELERIAC_KINDS": KINDS}, queues=NAME).start()
    yield worker
    worker.kill()


def send(site: Site, id_: str, account: str, amount: int) -> AsyncResult:
    kwargs = {"account": account, "amount": amount}
    return site.stock.send_task(NAME, kwargs=kwargs, queue=NAME, task_id=id_)


def test_own_kind_commits(site: Site, worker: Worker) -> None:
    """Its jobs commit with the result that it gave, and its rows are there."""
    assert {"moved": 5} == send(site, "one", "open", 5).get(timeout=60)

    rows = site.query("SELECT n FROM shop.alpha WHERE note = 'one' ORDER BY n")
    assert [(-5,), (5,)] == rows


def test_raising_job_spares_its_neighbours(site: Site, worker: Worker) -> None:
    """A job that raises is buried with its words and leaves no half; the others commit."""
    good = [send(site, f"good-{n}", "open", n) for n in range(10)]
    bad = send(site, "bad", "closed", 7)
    good += [send(site, f"good-{n}", "open", n) for n in range(10, 20)]

    assert [{"moved": n} for n in range(20)] == [result.get(timeout=60) for result in good]
    with pytest.raises(Exception, match="ValueError: account 'closed' is closed"):
        bad.get(timeout=60)
    assert {"bad": "dead"} == site.states("bad")
    assert [] == site.query("SELECT 1 FROM shop.alpha WHERE note = 'bad'")


def test_refused_payload(site: Site, worker: Worker) -> None:
    """What its check refuses is buried with the check's words."""
    with pytest.raises(Exception, match="amount must not be negative, got -1"):
        send(site, "negative", "open", -1).get(timeout=60)


def test_raising_job_in_one_batch(site: Site) -> None:
    """In one and the same batch, too: the guilty job is buried alone."""
    jobs = [
        Delivery(f"batch-{n}", NAME, body_of({"account": account, "amount": n}))
        for n, account in enumerate(["open", "closed", "open"])
    ]

    with child_on(site.database, kinds=[KINDS]) as child:
        settlements = settle_each(child, *jobs)

    assert [Fate.COMMITTED, Fate.DEAD, Fate.COMMITTED] == [one.fate for one in settlements]
    notes = site.query(
        "SELECT DISTINCT note FROM shop.alpha WHERE note LIKE 'batch-%%' ORDER BY 1", ()
    )
    assert [("batch-0",), ("batch-2",)] == notes


def test_other_queues_are_left_alone(site: Site, worker: Worker) -> None:
    """A worker of one queue takes nothing from another."""
    site.send("elsewhere", "beta", [{"n": 1}])
    send(site, "here", "open", 1).get(timeout=60)

    wait_for(lambda: site.queued() == 1, what="the other job to stay")
    site.redis.flushdb()
