"""A canvas cannot follow a job of ours: it is buried with those words, never dropped silently."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, chord, group
from celery.canvas import Signature

from tests.acceptance.site import TASK, Site

pytestmark = pytest.mark.usefixtures("worker")

NEVER = 666


@pytest.fixture(autouse=True)
def nothing_is_left(site: Site) -> Iterator[None]:
    """After every test the broker keeps no job, and no row came in that must not."""
    yield
    site.wait_until_settled()
    assert [] == site.query("SELECT 1 FROM shop.alpha WHERE n = %s", (NEVER,))


def test_link_buries_the_job(site: Site) -> None:
    """A job with a success callback is refused as a whole, and its producer is told why."""
    result = ingest(site, "with-link").apply_async(link=ingest(site, "linked"))

    assert "link cannot follow" in buried(site, result, "with-link")
    assert {} == site.states("linked")


def test_link_error_buries_the_job(site: Site) -> None:
    """A job with an error callback is refused as a whole."""
    result = ingest(site, "with-errback").apply_async(link_error=ingest(site, "errback"))

    assert "link_error cannot follow" in buried(site, result, "with-errback")


def test_chain_buries_its_first_job(site: Site) -> None:
    """A chain is refused at its first link; the second never runs."""
    result = chain(ingest(site, "link-1"), ingest(site, "link-2"), app=site.stock).apply_async()

    assert "chain cannot follow" in buried(site, result.parent, "link-1")
    assert {} == site.states("link-2")


def test_chord_buries_its_jobs(site: Site) -> None:
    """The jobs of a chord's head are refused; its body never runs."""
    head = [ingest(site, "head-1"), ingest(site, "head-2")]

    chord(head, app=site.stock)(ingest(site, "chord-body"))

    for id_ in ("head-1", "head-2"):
        site.wait_for_state(id_, "dead")
        assert "chord cannot follow" in site.error(id_)
    assert {} == site.states("chord-body")


def test_group_commits(site: Site) -> None:
    """A group is only several jobs: each commits, and their results are joined."""
    jobs = [ingest(site, f"group-{n}", n) for n in range(3)]

    results = group(jobs, app=site.stock).apply_async().get(timeout=60)

    assert [{"rows": 1, "inserted": 1, "quarantined": 0}] * 3 == results


def ingest(site: Site, id_: str, n: int = NEVER) -> Signature:
    """Make the signature of a job, as stock applications write them."""
    kwargs: dict[str, Any] = {"target": "alpha", "rows": [{"n": n}]}
    return site.stock.signature(TASK, kwargs=kwargs, options={"task_id": id_, "queue": TASK})


def buried(site: Site, result: Any, id_: str) -> str:
    """Wait for the job's burial and return the reason, the same for producer and ledger."""
    with pytest.raises(Exception, match="cannot follow this task"):
        result.get(timeout=60)
    assert {id_: "dead"} == site.states(id_)
    return site.error(id_)
