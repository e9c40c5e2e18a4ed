"""examples/fastapi_app keeps its promises: one transaction, and a loop that is never held up."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.docs.conftest import Site
from tests.integration.relays import RelayProcess, queued
from tests.waiting import wait_for
from tests.workers import ROOT, Worker

EXAMPLE = ROOT / "examples" / "fastapi_app"
CATALOG = EXAMPLE / "catalog"
WAIT_SECONDS = 60
LONGEST_DELAY_SECONDS = 0.02
ATTEMPTS = 3
REQUESTS_AT_A_TIME = 4
QUEUE = "celeriac.report"

PARCEL = {"code": "P-1", "grams": 250}
EMPTY = "TRUNCATE depot.parcel, depot.scan, depot.shipment"
COUNTS = "SELECT (SELECT count(*) FROM depot.parcel), (SELECT count(*) FROM depot.scan)"


@pytest.fixture(scope="module")
def running_site(open_site: Callable[..., Site]) -> Iterator[Site]:
    """The example's catalog with a relay and a worker that makes no reports."""
    site = open_site(CATALOG, (CATALOG / "tables.sql").read_text(), "celeriac.ingest", {})
    relay = RelayProcess(site.env).start(wait=False)
    yield site
    relay.kill()


@pytest.fixture(scope="module")
def url(running_site: Site) -> Iterator[str]:
    """Where the program answers, started as its README says, with a clock in its loop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = ["-m", "uvicorn", "tests.docs.ticking_depot:app", "--port", str(port)]
    path = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])}
    process = subprocess.Popen(
        [sys.executable, *command, "--log-level", "warning"],
        cwd=ROOT,
        env=os.environ | running_site.env | path,
    )
    found = f"http://127.0.0.1:{port}"
    wait_for(lambda: process.poll() is not None or _answers(found), WAIT_SECONDS, "uvicorn")
    yield found
    process.terminate()
    process.wait(WAIT_SECONDS)


@pytest.fixture
def site(running_site: Site) -> Site:
    """The same, with empty tables."""
    running_site.query(EMPTY)
    return running_site


def test_a_shipment_and_its_parcels_are_stored(site: Site, url: str) -> None:
    """The application stores a shipment, and the job of its transaction the parcels."""
    with httpx.Client(base_url=url, timeout=WAIT_SECONDS) as caller:
        announced = caller.post("/shipments", json={"sender": "Ann", "parcels": [PARCEL]})
        place = f"/jobs/{announced.json()['job']}"
        wait_for(lambda: caller.get(place).json()["state"] == "committed", what="the parcels")

    assert 202 == announced.status_code
    stored = "SELECT sender, code, grams FROM depot.parcel JOIN depot.shipment ON shipment = number"
    assert [("Ann", "P-1", 250)] == site.query(stored)


def test_a_refused_shipment_leaves_nothing(site: Site, url: str) -> None:
    """A request that fails after it enqueued has stored nothing and sent nothing."""
    heavy = [PARCEL | {"grams": 600_000}, PARCEL | {"code": "P-2", "grams": 600_000}]
    jobs = "SELECT (SELECT count(*) FROM celeriac.job), (SELECT count(*) FROM celeriac.outbox)"
    before = site.query(jobs)

    answer = httpx.post(
        f"{url}/shipments", json={"sender": "Ben", "parcels": heavy}, timeout=WAIT_SECONDS
    )

    assert (422, "a van takes 1000000 g") == (answer.status_code, answer.json()["detail"][:21])
    assert before == site.query(jobs)
    assert [] == site.query("SELECT 1 FROM depot.shipment")


def test_what_no_worker_takes_is_told(site: Site, url: str) -> None:
    """A report that does not exist is answered with the client's words, at once."""
    answer = httpx.get(f"{url}/reports/no_such_report", timeout=WAIT_SECONDS)

    assert 422 == answer.status_code
    assert "'no_such_report' is not served" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("jobs", "reports"),
    [
        pytest.param(200, 5, id="sample"),
        pytest.param(1_000, 20, id="storm", marks=pytest.mark.storm),
    ],
)
def test_the_loop_is_never_held_up(
    site: Site, url: str, make_worker: Callable[..., Worker], jobs: int, reports: int
) -> None:
    """The program's loop goes on ticking while it enqueues many jobs and awaits many reports."""
    # A host takes time that its guest counts as ours; a call that blocks would do so each time.
    for _ in range(ATTEMPTS):
        site.query(EMPTY)
        reporter = make_worker(site.env, queues=QUEUE)

        delays, answers = asyncio.run(_work(site, url, reporter, jobs, reports))

        assert reports * [200] == [answer.status_code for answer in answers]
        wait_for(lambda: site.query(COUNTS) == [(jobs / 2, jobs / 2)], WAIT_SECONDS, "all rows")
        assert delays["ticks"] > jobs / 2
        reporter.kill()
        if max(delays["computed"], delays["late"]) < LONGEST_DELAY_SECONDS:
            break

    assert delays["computed"] < LONGEST_DELAY_SECONDS
    assert delays["late"] < LONGEST_DELAY_SECONDS


async def _work(
    site: Site, url: str, reporter: Worker, jobs: int, reports: int
) -> tuple[dict[str, float], list[httpx.Response]]:
    async with httpx.AsyncClient(base_url=url, timeout=2 * WAIT_SECONDS) as caller:
        await caller.get("/delays")
        waiting = []
        for number in range(1, reports + 1):
            waiting.append(asyncio.create_task(caller.get("/reports/weight_by_sender")))
            while queued(site.env, QUEUE) < number:
                await asyncio.sleep(0.005)
        # Only now does somebody come to make the reports: all have been awaited so far.
        reporter.start(wait=False)
        numbers = iter(range(jobs))
        enqueueing = (_enqueue_each(caller, numbers) for _ in range(REQUESTS_AT_A_TIME))
        await asyncio.gather(*enqueueing)
        answers = await asyncio.gather(*waiting)
        return (await caller.get("/delays")).json(), answers


async def _enqueue_each(caller: httpx.AsyncClient, numbers: Iterator[int]) -> None:
    for number in numbers:
        parcel = {"code": f"P-{number}", "grams": number + 1}
        if number % 2:
            answer = await caller.post("/scans", json=parcel)
        else:
            shipment = {"sender": "Cat", "parcels": [parcel]}
            answer = await caller.post("/shipments", json=shipment)
        assert 202 == answer.status_code


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/openapi.json").is_success
    except httpx.TransportError:
        return False
