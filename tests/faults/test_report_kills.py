"""Children die in the middle of reports: a file is seen whole or not at all, and counted once."""

import hashlib
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celeriac.contract import LEDGER_STATES
from tasks.reports.artifacts.artifact import stem_of
from tests.faults.file_points import FOLDER, arm, is_armed
from tests.faults.report_points import ReportPoint
from tests.integration.shop import query
from tests.waiting import wait_for
from tests.workers import Worker

ROWS = 60_000
#: A few megabytes: a draft is written a megabyte at a time.
NUMBERS = f"""/* celeriac
title = "Numbers"
format = "csv"
*/
SELECT n, repeat('x', 50) AS filling FROM generate_series(1, {ROWS}) AS n
"""
#: It takes longer than reports are answered together for, and goes on by itself.
SLOW = NUMBERS.replace("generate_series", "pg_sleep(0.5), generate_series")
MakeWorker = Callable[..., Worker]
STORM = (pytest.mark.storm, pytest.mark.timeout(1800))


@dataclass(frozen=True)
class PressSite:
    """Where the worker lives: its settings, its files, the points at which its child dies."""

    env: dict[str, str]
    artifacts: Path
    points: Path

    def send(self, id_: str, report: str) -> None:
        """Send a report as any Celery producer does."""
        with Celery("stock", broker=self.env["CELERIAC_BROKER_URL"], set_as_current=False) as stock:
            stock.send_task("celeriac.report", (report,), task_id=id_, queue="celeriac.report")

    def wait_for_end(self, id_: str) -> None:
        """Wait until the ledger says that a job is committed, and show why if it says otherwise."""
        ended = {state.value for state in LEDGER_STATES} - {"working"}
        asked = "SELECT state, error FROM celeriac.job WHERE id = %s"

        def end() -> Sequence[Any]:
            found = query(self.env["CELERIAC_DATABASE_URL"], asked, (id_,))
            return found[0] if found and found[0][0] in ended else ()

        assert ("committed", None) == wait_for(end, what=f"{id_} to end")

    def published(self, id_: str) -> list[Path]:
        """Return the files of a job under final names."""
        return sorted(self.artifacts.glob(f"*/{stem_of(id_)}.*.csv"))

    def counted(self, id_: str) -> list[tuple[Any, ...]]:
        """Return what report_run says of a job."""
        text = "SELECT url, rows, bytes, sha256 FROM celeriac.report_run WHERE job_id = %s"
        return query(self.env["CELERIAC_DATABASE_URL"], text, (id_,))


@pytest.fixture
def site(worker_env: dict[str, str], tmp_path: Path) -> PressSite:
    """A catalog of one report; no worker yet."""
    catalog, points = tmp_path / "catalog", tmp_path / "points"
    (catalog / "reports").mkdir(parents=True)
    (catalog / "reports" / "numbers.sql").write_text(NUMBERS)
    (catalog / "reports" / "slow_numbers.sql").write_text(SLOW)
    (catalog / "targets.toml").write_text("")
    points.mkdir()
    env = {
        **worker_env,
        "CELERIAC_CATALOG": str(catalog),
        "CELERIAC_LEASE_SECONDS": "1",
        "CELERIAC_CRASH_LIMIT": "100",
        FOLDER: str(points),
    }
    return PressSite(env, tmp_path / "artifacts", points)


@pytest.mark.parametrize(
    ("jobs", "report"),
    [
        pytest.param(1, "numbers", id="sample"),
        pytest.param(40, "numbers", id="storm", marks=STORM),
        pytest.param(40, "slow_numbers", id="storm of long reports", marks=STORM),
    ],
)
def test_child_killed_in_each_phase(
    site: PressSite, make_worker: MakeWorker, jobs: int, report: str
) -> None:
    """A report whose child dies in every phase ends with one run, its file, and no draft."""
    make_worker(site.env, queues="celeriac.report", app="tests.faults.planted_reports").start()
    for job in range(jobs):
        for point in ReportPoint:
            arm(site.points, point, 2 if point is ReportPoint.MID_FETCH else 1, signal.SIGKILL)

        site.send(f"killed-{job}", report)
        site.wait_for_end(f"killed-{job}")

        assert not is_armed(site.points)
        ((url, rows, size, sha256),) = site.counted(f"killed-{job}")
        whole = site.published(f"killed-{job}")
        contents = [path.read_bytes() for path in whole]
        # One is of the run that died between the rename and COMMIT: as whole, and not counted.
        assert (2, True) == (len(whole), url in {f"file://{path}" for path in whole})
        assert {(ROWS, size, sha256)} == {
            (one.count(b"\n") - 1, len(one), hashlib.sha256(one).hexdigest()) for one in contents
        }
        assert ROWS == rows
        assert [] == list((site.artifacts / ".drafts").iterdir())
