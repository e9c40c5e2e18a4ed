"""Flower, started as in production, shows every job with its right state."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.acceptance.site import Site
from tests.browser import INSTALLING, Browser
from tests.browser import running_browser as running_browser
from tests.forked import Forked
from tests.waiting import wait_for
from tests.workers import ROOT, Worker

#: Flower's page of tasks fills itself by a script.
pytestmark = INSTALLING

START_SECONDS = 120
VIEWER = "viewer:not a secret"
RESULT = '{"rows": 100, "inserted": 100, "quarantined": 0}'


@dataclass(frozen=True)
class Flower:
    """A Flower process, seen through its HTTP API."""

    url: str

    @property
    def url_of_viewer(self) -> str:
        """URL with the name and password that it asks for."""
        return self.url.replace("//", f"//{quote(VIEWER, safe=':')}@")

    def get(self, path: str) -> Any:
        """Ask the API; None if it does not answer, or not in JSON."""
        viewer = tuple(VIEWER.split(":"))
        try:
            return requests.get(f"{self.url}/api/{path}", auth=viewer, timeout=60).json()
        except (requests.ConnectionError, requests.JSONDecodeError):
            return None

    def wait_for_task(self, id_: str, state: str) -> dict[str, Any]:
        """Wait until it shows the task so; return all it shows."""
        wait_for(
            lambda: ((self.get(f"task/info/{id_}") or {}).get("state")) == state,
            60,
            f"Flower to show {id_} as {state}",
        )
        return dict(self.get(f"task/info/{id_}"))


@pytest.fixture(scope="module")
def flower(
    site: Site, worker: Worker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flower]:
    """Flower with our configuration, which has seen the module's worker."""
    port = free_port()
    log = tmp_path_factory.mktemp("flower") / "flower.log"
    process = start_flower(site, port, log)
    try:
        flower = Flower(f"http://127.0.0.1:{port}")
        wait_for(
            lambda: (flower.get("workers?status=true") or {}).get(worker.name),
            START_SECONDS,
            "Flower to see the worker",
        )
        yield flower
    finally:
        process.kill()
        process.wait()


def test_committed_job(site: Site, flower: Flower) -> None:
    """SUCCESS with subject and rows, the account as result, runtime and all times."""
    site.send("good", "alpha", [{"n": n} for n in range(100)])

    shown = flower.wait_for_task("good", "SUCCESS")

    assert ("celeriac.ingest", "alpha · 100 rows", RESULT) == (
        shown["name"],
        shown["args"],
        shown["result"],
    )
    assert shown["runtime"] > 0
    assert shown["received"] <= shown["started"] <= shown["succeeded"]


def test_buried_job(site: Site, flower: Flower) -> None:
    """FAILURE with the worker's words."""
    site.send("bad", "nowhere", [{"n": 1}])

    shown = flower.wait_for_task("bad", "FAILURE")

    assert "target 'nowhere' is not in the catalog" in shown["exception"]
    assert "nowhere · 1 row" == shown["args"]


def test_expired_job(site: Site, flower: Flower) -> None:
    """REVOKED for a job whose time was over."""
    site.send("late", "alpha", [{"n": 1}], expires=datetime.now(UTC) - timedelta(hours=1))

    shown = flower.wait_for_task("late", "REVOKED")

    assert "alpha · 1 row" == shown["args"]


def test_every_job_is_listed_once(site: Site, flower: Flower) -> None:
    """The list of tasks holds each of many jobs once, all SUCCESS."""
    ids = {f"many-{n}" for n in range(50)}
    for id_ in ids:
        site.send(id_, "beta", [{"n": 1}], ignore_result=True)
    for id_ in ids:
        flower.wait_for_task(id_, "SUCCESS")

    listed = flower.get("tasks?limit=1000")

    assert ids <= listed.keys()
    assert {"SUCCESS"} == {listed[id_]["state"] for id_ in ids}


def test_metrics_are_served(site: Site, flower: Flower) -> None:
    """Flower's own /metrics count our jobs, and tell our figures beside them."""
    site.send("counted", "beta", [{"n": 1}])
    flower.wait_for_task("counted", "SUCCESS")

    figures = {
        'task="celeriac.ingest",type="task-succeeded"',
        'celeriac_up{server="postgresql"} 1.0',
        'celeriac_queue_jobs{queue="celeriac.ingest"} 0.0',
    }

    def untold() -> set[str]:
        told = requests.get(f"{flower.url}/metrics", timeout=60).text
        return {one for one in figures if one not in told}

    # It looks now and then: the last time some jobs may have been waiting.
    wait_for(lambda: not untold(), what="all figures, after the last job")


def test_strangers_are_kept_out(site: Site, flower: Flower, tmp_path: Path) -> None:
    """Pages and API ask for a password; without one, Flower listens on this machine only."""
    answers = [requests.get(f"{flower.url}{path}", timeout=60) for path in ("/", "/api/workers")]
    log = tmp_path / "open.log"
    said = []
    for address, viewer in (("0.0.0.0", None), ("127.0.0.1", "admin:"), ("127.0.0.1", "")):
        open_to_all = start_flower(site, free_port(), log, address=address, viewer=viewer)
        try:
            said.append((open_to_all.wait(), log.read_text()))
        finally:
            open_to_all.kill()

    assert [401, 401] == [answer.status_code for answer in answers]
    assert all(status != 0 for status, _ in said)
    assert "set FLOWER_BASIC_AUTH=name:password" in said[0][1]
    for _, text in said[1:]:
        assert "an entry lacks its name or its password" in " ".join(text.split())


def test_what_people_see(site: Site, worker: Worker, flower: Flower, browser: Browser) -> None:
    """The worker, a batched job with arguments, result, runtime; a buried one with its reason."""
    site.send("seen-good", "alpha", [{"n": n} for n in range(100)])
    site.send("seen-bad", "nowhere", [{"n": 1}])
    flower.wait_for_task("seen-good", "SUCCESS")
    flower.wait_for_task("seen-bad", "FAILURE")

    workers = shown(browser, f"{flower.url_of_viewer}/", worker.name)
    tasks = shown(browser, f"{flower.url}/tasks", "seen-good")
    good = shown(browser, f"{flower.url}/task/seen-good", "alpha")
    bad = shown(browser, f"{flower.url}/task/seen-bad", "nowhere")

    assert "Online" in workers
    assert squeezed("100 rows, 100 inserted") in tasks
    assert squeezed("target 'nowhere' is not in the catalog") in bad
    assert squeezed("target 'nowhere' is not in the catalog") in tasks
    for words in ("SUCCESS", "alpha · 100 rows", "100 rows, 100 inserted", "Runtime"):
        assert squeezed(words) in good
    own = flower.url.partition("//")[2]
    assert {own} == {url.partition("//")[2].partition("/")[0] for url in browser.requests()}


def shown(browser: Browser, url: str, words: str) -> str:
    """Open a page and return its text, once it has these words."""
    browser.open(url)
    wait_for(lambda: squeezed(words) in squeezed(text_of(browser)), 60, f"{words!r} on {url}")
    return squeezed(text_of(browser))


def squeezed(text: str) -> str:
    """Return a text without its white space: where a cell breaks its line is no matter."""
    return "".join(text.split())


def text_of(browser: Browser) -> str:
    """Return what can be read on the page."""
    return str(browser.run("return document.body.innerText"))


def start_flower(
    site: Site, port: int, log: Path, *, address: str = "127.0.0.1", viewer: str | None = VIEWER
) -> Forked:
    """Start Flower by the documented command."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    own = {"PYTHONPATH": path} | ({} if viewer is None else {"FLOWER_BASIC_AUTH": viewer})
    command = ["celery", "-A", "worker.app", "flower"]
    options = ["--conf=monitoring/flowerconfig.py", f"--address={address}", f"--port={port}"]
    with log.open("wb") as output:
        return Forked([*command, *options], env=os.environ | site.env | own, stdout=output)


def free_port() -> int:
    """Return a port of the loopback that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
