"""Reports through a real worker: company, progress, revoking, and what a death leaves behind."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from celery.result import AsyncResult

from celeriac import Client
from tests.acceptance.site import Site
from tests.waiting import wait_for
from tests.workers import Worker

REPORT = "celeriac.report"
REPORTS = {
    "small": "[params.n]\ntype = 'int'\n*/ SELECT :n AS n",
    "broken": "*/ SELECT nothing FROM nowhere",
    "slow": "timeout = 200\n*/ SELECT pg_sleep(600)",
    "short": "timeout = 1\n*/ SELECT pg_sleep(600)",
    "nap": "*/ SELECT pg_sleep(1)",
    "rows": "*/ SELECT repeat('x', 50000), pg_sleep(0.002) FROM generate_series(1, 100000)",
}


LOOP = '''"""Compute, and hear nothing.

celeriac
title = "Loop"
"""


def report(read):
    while True:
        pass
'''


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A catalog of reports."""
    catalog = tmp_path_factory.mktemp("catalog")
    (catalog / "reports").mkdir()
    (catalog / "targets.toml").touch()
    for name, text in REPORTS.items():
        path = catalog / "reports" / f"{name}.sql"
        path.write_text(f"/* celeriac\ntitle = '{name}'\nformat = 'csv'\n{text}")
    (catalog / "reports" / "loop.py").write_text(LOOP)
    return {"CELERIAC_CATALOG": str(catalog)}


@pytest.fixture(scope="module")
def worker(site: Site, settings: dict[str, str]) -> Iterator[Worker]:
    """A worker with two children, consuming reports."""
    worker = Worker(site.env | settings, queues=REPORT, concurrency=2).start()
    yield worker
    lives = worker.is_running
    worker.kill()
    assert lives, f"the worker ended by itself:\n{worker.log[-3000:]}"


def send(site: Site, id_: str, name: str, **more: Any) -> AsyncResult:
    """Send a report as any stock application does."""
    return site.send_task(REPORT, kwargs={"name": name, **more}, task_id=id_, queue=REPORT)


def running(site: Site) -> list[str]:
    """Return the queries of reports that the server runs just now."""
    active = (
        "SELECT query FROM pg_stat_activity WHERE state = 'active' AND datname = current_database()"
    )
    return [text for (text,) in site.query(active) if text.startswith("/* celeriac ")]


def begin(site: Site, id_: str, name: str) -> AsyncResult:
    """Send a report and wait until the ledger says that it is under way, and the server runs it."""
    sent = send(site, id_, name)
    site.wait_for_state(id_, "working")
    wait_for(lambda: [one for one in running(site) if f"job={id_} " in one], what="the query")
    return sent


def test_forty_small_ones_end_around_a_slow_and_a_failing_one(site: Site, worker: Worker) -> None:
    """Each has its own end; the slow ones never take the last child from those that are small."""
    slow = [send(site, f"forty-slow-{n}", "slow", fresh_for=n) for n in range(3)]
    broken = send(site, "forty-broken", "broken")
    small = [send(site, f"forty-{n}", "small", params={"n": n}) for n in range(38)]

    wait_for(lambda: all(one.ready() for one in small), what="the small ones to commit")
    site.stock.control.revoke([one.id for one in slow])
    wait_for(lambda: all(one.ready() for one in slow), what="the slow ones to end")

    assert {"SUCCESS": 38} == Counter(one.status for one in small)
    assert {"REVOKED": 3} == Counter(one.status for one in slow)
    assert "FAILURE" == broken.status
    assert "report broken: relation" in site.error("forty-broken")


def test_revoked_report_leaves_no_query(site: Site, worker: Worker) -> None:
    """Its query is cancelled in the server, its child lives on, its end is in the ledger."""
    sent = begin(site, "revoked", "slow")
    children = worker.children()

    site.stock.control.revoke("revoked")
    site.wait_for_state("revoked", "cancelled")

    assert [] == running(site)
    wait_for(sent.ready, what="the result")
    assert "REVOKED" == sent.status
    assert children == worker.children()


def test_equal_ones_that_wait_for_their_turn_share_a_run(site: Site, worker: Worker) -> None:
    """What began while they waited answers them, also where nothing but time stood in their way."""
    first = begin(site, "holds-the-turn", "slow")
    naps = [send(site, "nap-0", "nap")]
    # It is tried for a moment, too short to be seen from here; what came behind it shows that.
    behind = send(site, "behind-the-nap", "small", params={"n": 98})
    wait_for(behind.ready, what="one that came after it, so it was tried")
    naps += [send(site, f"nap-{n}", "nap") for n in range(1, 4)]
    behind = send(site, "behind-the-naps", "small", params={"n": 99})
    wait_for(behind.ready, what="one that came after them, so all of them were tried")

    site.stock.control.revoke(first.id)
    wait_for(lambda: all(one.ready() for one in naps), what="the naps to end")

    runs = site.query("SELECT job_id FROM celeriac.report_run WHERE report = 'nap'")
    assert {"SUCCESS"} == {one.status for one in naps}
    # The second run is that of a job which the worker took up after the first began.
    assert len(runs) in (1, 2)


def test_report_over_its_time_leaves_no_query(site: Site, worker: Worker) -> None:
    """It is buried with its limit's words."""
    send(site, "short", "short")

    site.wait_for_state("short", "dead")

    assert "statement timeout" in site.error("short")
    assert [] == running(site)


def test_progress_is_told_while_rows_stream(site: Site, worker: Worker, settings: Any) -> None:
    """The ticket tells how many rows there are so far; cancelling it ends the report."""
    url = site.broker_url
    with Client(url, result_url=site.result_url) as client:
        ticket = client.report("rows")
        told = wait_for(lambda: (ticket.progress() or {}).get("rows"), what="progress")
        states = site.states(ticket.id)
        ticket.cancel()
        site.wait_for_state(ticket.id, "cancelled")

    assert told > 0
    assert {ticket.id: "working"} == states
    assert [] == running(site)


def test_killed_child_leaves_no_query(site: Site, worker: Worker) -> None:
    """The server ends what nobody waits for; the report runs again, in a new child."""
    begin(site, "killed", "slow")
    ((backend, name),) = site.query(
        "SELECT pid, application_name FROM pg_stat_activity"
        " WHERE state = 'active' AND query LIKE '/* celeriac %' AND datname = current_database()"
    )
    child = int(name.rpartition(":")[2])

    os.kill(child, signal.SIGKILL)

    alive = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
    wait_for(lambda: not site.query(alive, (backend,)), what="its query to end")
    wait_for(lambda: running(site), what="the report to run again")
    site.stock.control.revoke("killed")
    site.wait_for_state("killed", "cancelled")
    wait_for(lambda: not running(site), what="no query to run")


@pytest.mark.storm
def test_report_that_computes_on_loses_its_child(site: Site, worker: Worker) -> None:
    """Revoked, it is given a moment; then its child ends, and the claim says what became of it."""
    sent = send(site, "loop", "loop")
    site.wait_for_state("loop", "working")

    site.stock.control.revoke("loop")
    site.wait_for_state("loop", "cancelled")

    wait_for(sent.ready, what="the result")
    assert "REVOKED" == sent.status
    assert [] == running(site)
