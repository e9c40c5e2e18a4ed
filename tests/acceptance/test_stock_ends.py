"""What a stock producer wants of a job beside running it: a time to start, an end, a revocation."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.site import Site
from tests.waiting import wait_for
from tests.workers import Worker

pytestmark = pytest.mark.usefixtures("worker")

NEVER = 666


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Let a child wait at the gate for as long as the test needs."""
    return {"CELERIAC_LOCK_SECONDS": "60", "CELERIAC_STATEMENT_SECONDS": "70"}


@pytest.fixture(autouse=True)
def nothing_is_left(site: Site) -> Iterator[None]:
    """After every test the broker keeps no job, and no row came in that must not."""
    yield
    site.wait_until_settled()
    assert [] == site.query("SELECT 1 FROM shop.alpha WHERE n = %s", (NEVER,))


def test_expired_job_is_cancelled(site: Site) -> None:
    """A job whose time was over before it started has no effect; ledger and result say expired."""
    result = site.send("late", "alpha", [{"n": NEVER}], expires=past())

    with pytest.raises(Exception, match="expired at"):
        result.get(timeout=60)
    assert "REVOKED" == result.state
    assert {"late": "cancelled"} == site.states("late")


def test_job_expires_while_it_waits(site: Site) -> None:
    """A job that waits behind a busy child until its time is over is cancelled."""
    with site.closed_gate():
        site.send("busy-1", "gate", [{"n": 0}])
        site.wait_for_the_gate()
        result = site.send("waits", "alpha", [{"n": NEVER}], expires=0.3)
        wait_for(lambda: site.queued() == 0, what="the worker to reserve it")
        ends = datetime.now(UTC) + timedelta(seconds=0.4)
        wait_for(lambda: datetime.now(UTC) > ends, what="its time to be over")

    with pytest.raises(Exception, match="expired at"):
        result.get(timeout=60)
    assert {"waits": "cancelled", "busy-1": "committed"} == site.states("waits", "busy-1")


def test_revoked_before_it_arrives(site: Site, worker: Worker) -> None:
    """A job revoked before the worker saw it has no effect."""
    revoke(site, worker, "unwanted")

    result = site.send("unwanted", "alpha", [{"n": NEVER}])

    with pytest.raises(Exception, match="revoked"):
        result.get(timeout=60)
    assert "REVOKED" == result.state
    assert {"unwanted": "cancelled"} == site.states("unwanted")


@pytest.mark.parametrize("eta", [None, 0.3], ids=["plain", "with a time to start"])
def test_cancelled_while_nobody_listened(site: Site, eta: float | None) -> None:
    """A job whose id is among the cancelled has no effect; those that came with it commit."""
    id_ = f"cancelled-{eta}"
    site.redis.zadd("celeriac:cancelled", {id_: 1})
    with site.closed_gate():
        site.send(f"busy-{eta}", "gate", [{"n": 0}])
        site.wait_for_the_gate()
        result = site.send(id_, "alpha", [{"n": NEVER}], countdown=eta)
        site.send(f"beside-{eta}", "alpha", [{"n": 1}])
        wait_for(lambda: site.queued() == 0, what="the worker to reserve both")

    with pytest.raises(Exception, match="revoked"):
        result.get(timeout=60)
    site.wait_for_state(f"beside-{eta}", "committed")
    assert {id_: "cancelled"} == site.states(id_)


def test_revoked_while_it_waits(site: Site, worker: Worker) -> None:
    """A job revoked while it waits for a busy child has no effect; its neighbour commits."""
    with site.closed_gate():
        site.send("busy-2", "gate", [{"n": 0}])
        site.wait_for_the_gate()
        unwanted = site.send("waiting", "alpha", [{"n": NEVER}])
        site.send("neighbour", "alpha", [{"n": 1}])
        wait_for(lambda: site.queued() == 0, what="the worker to reserve both")
        revoke(site, worker, "waiting")

    with pytest.raises(Exception, match="revoked"):
        unwanted.get(timeout=60)
    site.wait_for_state("neighbour", "committed")
    assert {"waiting": "cancelled"} == site.states("waiting")


def test_terminated_while_it_runs(site: Site) -> None:
    """A running job that is terminated has no effect; it ends as revoked."""
    with site.closed_gate():
        unwanted = site.send("endless", "gate", [{"n": NEVER}])
        site.wait_for_the_gate()
        site.stock.control.revoke("endless", terminate=True, signal="KILL")

        with pytest.raises(Exception, match="revoked"):
            unwanted.get(timeout=60)
    assert {"endless": "cancelled"} == site.states("endless")
    assert [] == site.query("SELECT 1 FROM shop.gate WHERE n = %s", (NEVER,))


def test_eta_is_waited_for(site: Site) -> None:
    """A job with a time to start at commits then, not before."""
    eta = datetime.now(UTC) + timedelta(seconds=1)

    site.send("later", "alpha", [{"n": 1}], eta=eta).get(timeout=60)

    ((at,),) = site.query("SELECT committed_at FROM celeriac.job WHERE id = 'later'")
    assert at >= eta


def revoke(site: Site, worker: Worker, id_: str) -> None:
    """Revoke a job and wait until the worker knows."""
    site.stock.control.revoke(id_)
    inspect = site.stock.control.inspect([worker.name], limit=1)
    wait_for(lambda: id_ in (inspect.revoked() or {}).get(worker.name, []), what="the revocation")


def past() -> datetime:
    """Return a time that is over."""
    return datetime.now(UTC) - timedelta(hours=1)
