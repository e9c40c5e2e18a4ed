"""Stock workers of older Celery consume what the client sends, and it runs on their redis-py."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from celeriac import Client
from tests.workers import ROOT

INSTALL_SECONDS = 170
VERSIONS = ("5.3", "5.4", "5.5", "5.6")
WORKER = (
    "-m celery -A tests.integration.stock_app worker --pool solo --without-mingle"
    " --without-gossip -Q celeriac.ingest"
)
ROW = {"a": 1, "word": "Zürich"}

#: Runs in the old environment: sends with the redis-py that it has, and consumes.
SEND = """
import asyncio, sys
from celeriac import AsyncClient, Client
url, results = sys.argv[1:]
with Client(url, results) as client:
    print(client.ingest("flights", {"a": 1}).id, client.ingest_many("flights", [{"a": 1}]).jobs)
    print(client.depth().waiting, client.cancel("nobody"))
async def send():
    async with AsyncClient(url, results) as client:
        ticket = await client.ingest("flights", {"a": 1})
        print(await ticket.state(), await ticket.cancel())
        try:
            await ticket.wait(0.1)
        except Exception as error:
            print(type(error).__name__)
asyncio.run(send())
"""


@pytest.fixture
def environment(request: Any, tmp_path: Path) -> Path:
    """Python of a virtual environment with one version of Celery."""
    python = tmp_path / "venv" / "bin" / "python"
    wanted = [f"{name}[redis]~={request.param}.0" for name in ("celery", "kombu")]
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=60
        )
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *wanted],
            check=True,
            capture_output=True,
            timeout=INSTALL_SECONDS,
        )
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"{wanted[0]} cannot be installed here: {error}")
    return python


@pytest.mark.storm
@pytest.mark.timeout(300)
@pytest.mark.parametrize("environment", VERSIONS, indirect=True)
def test_an_older_stock_worker_runs_the_job(
    environment: Path, broker_url: str, result_url: str, make_worker: Callable[..., Any]
) -> None:
    """A job arrives with its values, its result comes back, and the client runs beside it."""
    settings = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'client' / 'src'}",
        "CELERY_BROKER_URL": broker_url,
        "CELERY_RESULT_BACKEND": result_url,
        "PATH": "/usr/bin:/bin",
    }
    sent = subprocess.run(
        [str(environment), "-c", SEND, broker_url, result_url],
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    with Client(broker_url, result_url) as client:
        ticket = client.ingest("flights", [ROW])
        worker = subprocess.Popen(
            [str(environment), *WORKER.split()],
            env=settings,
            stderr=subprocess.PIPE,
        )
        try:
            result = ticket.wait(60)
        finally:
            worker.terminate()
            worker.communicate(timeout=60)

    assert (0, "") == (sent.returncode, sent.stderr)
    assert ["2 unknown", "queued cancelled", "JobCancelled"] == sent.stdout.splitlines()[1:]
    assert [ROW] == result["rows"]
