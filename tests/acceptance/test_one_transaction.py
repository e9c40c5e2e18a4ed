"""Jobs that arrive while a child works are one transaction; a lone job waits for nobody."""

import pytest

from tests.acceptance.site import Site
from tests.waiting import wait_for
from tests.workers import Worker

JOBS = 300
LEDGER = "SELECT xmin::text::bigint FROM celeriac.job WHERE subject = 'alpha'"


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Let a child wait at the gate for as long as the test needs."""
    return {
        "CELERIAC_LOCK_SECONDS": "30",
        "CELERIAC_STATEMENT_SECONDS": "40",
        "CELERIAC_BATCH_SECONDS": "60",
    }


def test_jobs_that_arrive_during_a_commit_are_one_transaction(site: Site, worker: Worker) -> None:
    """300 jobs that came while the only child was busy carry one transaction id in PostgreSQL."""
    with site.closed_gate():
        site.send("busy", "gate", [{"n": 0}])
        site.wait_for_the_gate()
        for n in range(JOBS):
            site.send(f"job-{n}", "alpha", [{"n": n}], ignore_result=True)
        wait_for(lambda: reserved(site, worker) == JOBS, what="all jobs to be reserved")
    site.wait_until_settled()

    assert [(JOBS, 1)] == site.query("SELECT count(*), count(DISTINCT xact) FROM shop.alpha")
    assert 1 == len(site.query(f"SELECT xact FROM shop.alpha UNION {LEDGER}"))
    assert [(JOBS,)] == site.query(f"SELECT count(*) FROM ({LEDGER}) AS job")


def test_lone_job_is_not_kept_waiting(site: Site, worker: Worker) -> None:
    """A job on an idle worker commits alone, though nothing else ever arrives."""
    for id_ in ("lone-1", "lone-2"):
        site.send(id_, "beta", [{"n": 1, "note": id_}])
        site.wait_for_state(id_, "committed")

    assert 2 == len(site.query("SELECT DISTINCT xact FROM shop.beta"))


def reserved(site: Site, worker: Worker) -> int:
    """Ask the worker how many jobs it has received and not started."""
    answer = site.stock.control.inspect([worker.name], timeout=2, limit=1).reserved() or {}
    return len(answer.get(worker.name, []))
