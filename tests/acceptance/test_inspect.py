"""``celery inspect`` tells of plain jobs as of all others: what waits, what runs, since when."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.site import TASK, Site
from tests.waiting import wait_for
from tests.workers import Worker

pytestmark = pytest.mark.usefixtures("worker")

FIELDS = {
    *("id", "name", "args", "kwargs", "type", "hostname", "time_start", "acknowledged"),
    *("delivery_info", "worker_pid"),
}


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Let a child wait at the gate for as long as the test needs."""
    return {"CELERIAC_LOCK_SECONDS": "60", "CELERIAC_STATEMENT_SECONDS": "70"}


@pytest.fixture
def ask(site: Site, worker: Worker) -> Callable[..., Any]:
    """Ask the worker by one of Celery's commands; its answer."""
    inspect = site.stock.control.inspect([worker.name], limit=1, timeout=60)

    def answer(command: str, *arguments: Any) -> Any:
        answers = getattr(inspect, command)(*arguments)
        assert answers is not None, f"{worker.name} did not answer {command}"
        return answers[worker.name]

    return answer


@pytest.fixture(autouse=True)
def nothing_is_left(site: Site) -> Any:
    """After every test the broker keeps no job."""
    yield
    site.wait_until_settled()


def reserve_behind_the_gate(
    site: Site, ask: Callable[..., Any], running: str, waiting: dict[str, dict[str, Any]]
) -> None:
    """Let one job run into the closed gate, and others wait behind it in the worker."""
    site.send(running, "gate", [{"n": 0}])
    site.wait_for_the_gate()
    for id_, options in waiting.items():
        site.send(id_, "alpha", [{"n": 1}, {"n": 2}], **options)
    wait_for(lambda: len(ask("reserved")) == len(waiting), what="the worker to reserve all")


def test_running_job_is_active(site: Site, worker: Worker, ask: Callable[..., Any]) -> None:
    """A running job is listed with words for its rows, its child and its start."""
    before = time.time()
    with site.closed_gate():
        reserve_behind_the_gate(site, ask, "runs", {})

        (shown,) = ask("active")

    assert FIELDS == shown.keys()
    assert ("runs", TASK, "gate · 1 row") == (shown["id"], shown["name"], shown["args"])
    assert shown["worker_pid"] in worker.children()
    assert before <= shown["time_start"] <= time.time()
    assert worker.name == shown["hostname"]


def test_waiting_jobs_are_reserved(site: Site, ask: Callable[..., Any]) -> None:
    """Jobs that wait are listed once each, those that came by Celery's ordinary way as well."""
    waiting = {"waits-1": {}, "waits-2": {}, "may-expire": {"expires": 3600}}
    with site.closed_gate():
        reserve_behind_the_gate(site, ask, "busy", waiting)

        reserved, active = ask("reserved"), ask("active")

    assert sorted(waiting) == sorted(one["id"] for one in reserved)
    assert {"alpha · 2 rows"} == {one["args"] for one in reserved if one["id"] != "may-expire"}
    assert [None] * 3 == [one["time_start"] for one in reserved]
    assert ["busy"] == [one["id"] for one in active]


def test_job_is_found_by_its_id(site: Site, ask: Callable[..., Any]) -> None:
    """query_task says of each id whether it runs or waits, and nothing of others."""
    with site.closed_gate():
        reserve_behind_the_gate(site, ask, "asked-1", {"asked-2": {}, "asked-3": {"expires": 3600}})

        found = ask("query_task", ["asked-1", "asked-2", "asked-3", "nobody"])

    states = {id_: state for id_, (state, _) in found.items()}
    assert {"asked-1": "active", "asked-2": "reserved", "asked-3": "reserved"} == states
    assert "gate · 1 row" == found["asked-1"][1]["args"]


def test_settled_jobs_are_no_longer_listed(site: Site, ask: Callable[..., Any]) -> None:
    """What is over is neither active nor reserved."""
    site.send("over", "alpha", [{"n": 1}]).get(timeout=60)

    assert [] == ask("active") + ask("reserved")
    assert {} == ask("query_task", ["over"])


def test_jobs_are_counted(site: Site, ask: Callable[..., Any]) -> None:
    """Celery's count of jobs done by task grows by those that came either way."""
    before = ask("stats")["total"].get(TASK, 0)

    for number in range(20):
        site.send(f"counted-{number}", "beta", [{"n": 1}], expires=3600 if number % 2 else None)
    site.wait_until_settled()

    wait_for(lambda: ask("stats")["total"].get(TASK, 0) == before + 20, what="the count")


def test_terminated_job_spares_those_that_wait(site: Site) -> None:
    """Terminating a running job ends its child; what waits behind it commits in the next one."""
    with site.closed_gate():
        unwanted = site.send("unwanted", "gate", [{"n": 666}])
        site.wait_for_the_gate()
        site.send("behind", "alpha", [{"n": 5}])
        wait_for(lambda: site.queued() == 0, what="the worker to reserve it")
        site.stock.control.revoke("unwanted", terminate=True, signal="KILL")

        with pytest.raises(Exception, match="revoked"):
            unwanted.get(timeout=60)
        site.wait_for_state("behind", "committed")

    assert {"unwanted": "cancelled"} == site.states("unwanted")
    assert [] == site.query("SELECT 1 FROM shop.gate WHERE n = 666")
