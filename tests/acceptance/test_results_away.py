"""While the result store is away jobs commit; the telling is late, not lost."""

from collections.abc import Iterator

import pytest

from tests.acceptance.site import RESULTS, Site
from tests.faults.proxy import FaultProxy
from tests.waiting import wait_for
from tests.workers import Worker


@pytest.fixture(scope="module")
def results(site: Site) -> Iterator[FaultProxy]:
    """What stands between the worker and its result store."""
    with FaultProxy(str(site.valkey.socket)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def settings(results: FaultProxy) -> dict[str, str]:
    """Keep results behind the proxy; the producer reads them past it."""
    return {"CELERIAC_RESULT_URL": results.redis_url(RESULTS)}


def test_results_come_when_the_store_is_back(
    site: Site, worker: Worker, results: FaultProxy
) -> None:
    """Jobs commit while the store is away, are kept by the broker, and told of afterwards."""
    site.send("before", "alpha", [{"n": 0}]).get(timeout=60)
    results.refuse()
    results.cut()

    told = [site.send(f"while-{n}", "alpha", [{"n": n}]) for n in range(5)]
    wait_for(lambda: len(site.states(*(f"while-{n}" for n in range(5)))) == 5, what="commits")
    wait_for(lambda: "jobs not settled" in worker.log, what="the worker to say so")

    assert 5 == site.unsettled()
    results.heal()
    whole = {"rows": 1, "inserted": 1, "quarantined": 0}
    assert [whole] * 5 == [result.get(timeout=60) for result in told]
    site.wait_until_settled()
    assert [(6,)] == site.query("SELECT count(*) FROM shop.alpha")


def test_jobs_without_result_are_not_delayed(
    site: Site, worker: Worker, results: FaultProxy
) -> None:
    """A job that asks for no result is settled though the store is away."""
    results.refuse()
    results.cut()

    site.send("quiet", "beta", [{"n": 1}], ignore_result=True)

    site.wait_for_state("quiet", "committed")
    site.wait_until_settled()
    results.heal()
