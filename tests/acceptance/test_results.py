"""Producers, stock or ours, hear how their jobs ended; those who do not ask leave nothing."""

from collections.abc import Iterator

import pytest

from celeriac import Client, JobFailed
from celeriac.contract import CATALOG_KEY
from tests.acceptance.site import QUEUE, RESULTS, Site
from tests.workers import Worker

WHOLE = {"rows": 2, "inserted": 2, "quarantined": 0}
ROWS = [{"n": 1, "note": "a"}, {"n": 2, "note": "b"}]


@pytest.fixture(scope="module")
def worker(site: Site) -> Iterator[Worker]:
    """A worker of jobs and reports."""
    worker = Worker(site.env, queues="celeriac.ingest,celeriac.report").start()
    yield worker
    worker.kill()


@pytest.fixture
def client(site: Site, worker: Worker) -> Iterator[Client]:
    """A client that was told of the broker only: workers publish where results are."""
    with Client(site.broker_url) as client:
        yield client


def test_stock_result_of_a_committed_job(site: Site, worker: Worker) -> None:
    """AsyncResult.get() returns how the rows ended; the rows are there when it returns."""
    result = site.send("stock", "alpha", [*ROWS, {"n": None}])

    assert {"rows": 3, "inserted": 2, "quarantined": 1} == result.get(timeout=60)
    assert [(2,)] == site.query("SELECT count(*) FROM shop.alpha")
    assert ("SUCCESS", None) == (result.state, result.traceback)


def test_stock_result_of_a_buried_job(site: Site, worker: Worker) -> None:
    """AsyncResult.get() raises with the worker's words."""
    result = site.send("buried", "nowhere", ROWS)

    with pytest.raises(JobFailed, match=r"^target 'nowhere' is not in the catalog"):
        result.get(timeout=60)

    assert "FAILURE" == result.state


def test_unasked_result_is_not_stored(site: Site, worker: Worker) -> None:
    """A job sent with ignore_result leaves no key in the result store, buried or not."""
    site.send("quiet", "beta", ROWS, ignore_result=True)
    site.send("quiet-dead", "nowhere", ROWS, ignore_result=True)
    site.send_task("shop.unknown", task_id="quiet-unknown", ignore_result=True)

    site.wait_for_state("quiet", "committed")
    site.wait_for_state("quiet-dead", "dead")
    site.wait_for_state("quiet-unknown", "dead")
    site.wait_until_settled()
    with site.valkey.client(RESULTS) as results:
        assert [] == results.keys("*quiet*")


def test_result_expires(site: Site, worker: Worker) -> None:
    """A stored result has a lifetime: the result store does not grow for ever."""
    site.send("expiring", "beta", ROWS).get(timeout=60)

    with site.valkey.client(RESULTS) as results:
        assert 0 < results.ttl("celery-task-meta-expiring") <= 86_400


def test_client_waits_for_its_rows(site: Site, client: Client) -> None:
    """Our client's ingest job ends with its account, and its rows are visible then."""
    ticket = client.ingest("gamma", ROWS)

    assert WHOLE == ticket.wait(60)
    assert [(1, "a"), (2, "b")] == site.query("SELECT n, note FROM shop.gamma ORDER BY n")
    assert "committed" == str(ticket.state())


def test_client_hears_why_a_job_was_buried(site: Site, client: Client) -> None:
    """Our client raises JobFailed with the worker's words where it could not check before."""
    published = site.redis.getdel(CATALOG_KEY)
    try:
        with Client(site.broker_url, site.result_url) as blind, pytest.raises(JobFailed) as raised:
            blind.ingest("nowhere", ROWS, id="blind").wait(60)
    finally:
        site.redis.set(CATALOG_KEY, published)

    assert raised.value.words.startswith("target 'nowhere' is not in the catalog")
    assert "blind" == raised.value.job_id


def test_client_gets_a_report(site: Site, client: Client) -> None:
    """Our client's report job ends with the file, its rows and its checksum."""
    client.ingest("alpha", [{"n": 1000, "note": "sold"}]).wait(60)

    done = client.report("sold", {"least": 1000}).wait(60)

    assert 1 == done["rows"]
    assert done["url"].endswith(".csv")
    assert 0 == site.redis.llen(QUEUE)
