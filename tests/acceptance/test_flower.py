"""Flower, started as in production, shows every job with its right state."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.acceptance.site import Site
from tests.waiting import wait_for
from tests.workers import ROOT, Worker

START_SECONDS = 40
RESULT = '{"rows": 100, "inserted": 100, "quarantined": 0}'


@dataclass(frozen=True)
class Flower:
    """A Flower process, seen through its HTTP API."""

    url: str

    def get(self, path: str) -> Any:
        """Ask the API; None if it does not answer, or not in JSON."""
        try:
            return requests.get(f"{self.url}/api/{path}", timeout=5).json()
        except (requests.ConnectionError, requests.JSONDecodeError):
            return None

    def wait_for_task(self, id_: str, state: str) -> dict[str, Any]:
        """Wait until it shows the task so; return all it shows."""
        wait_for(
            lambda: ((self.get(f"task/info/{id_}") or {}).get("state")) == state,
            15,
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
    """Flower's own /metrics count our jobs."""
    site.send("counted", "beta", [{"n": 1}])
    flower.wait_for_task("counted", "SUCCESS")

    text = requests.get(f"{flower.url}/metrics", timeout=5).text

    assert 'task="celeriac.ingest",type="task-succeeded"' in text


def start_flower(site: Site, port: int, log: Path) -> "subprocess.Popen[bytes]":
    """Start Flower by the documented command."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    own = {"PYTHONPATH": path, "FLOWER_UNAUTHENTICATED_API": "true"}
    command = [sys.executable, "-m", "celery", "-A", "worker.app", "flower"]
    options = ["--conf=monitoring/flowerconfig.py", "--address=127.0.0.1", f"--port={port}"]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env=os.environ | site.env | own,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def free_port() -> int:
    """Return a port of the loopback that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
