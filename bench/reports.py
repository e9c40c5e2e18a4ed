"""One report of many rows: by psql's COPY, by a worker in each format, and by pandas."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bench.crew import Crew, working
from bench.drain import IDLE_SECONDS
from bench.ground import TAIL_CHARACTERS, Ground, RunFailed
from bench.measure import peak_memory_mb_of
from bench.report_place import FLIGHTS, QUEUE, REPORT, flights_url, reporter, sender
from bench.servers import Place
from bench.subjects.subject import ROOT
from bench.target import Target
from worker.embedded.account import server_account
from worker.embedded.binaries import postgres_programs

FORMATS = ("csv", "csv.gz", "csv.zst", "jsonl", "parquet", "xlsx")
#: By subject, the most rows: the others take so long, or have them all in memory.
MOST_ROWS: Mapping[str, int] = MappingProxyType(
    {"xlsx": 100_000, "pandas_csv": 300_000, "pandas_parquet": 1_000_000}
)
_STATE = "SELECT state FROM celeriac.job WHERE id = %s"
_ROWS = "SELECT rows FROM celeriac.report_run WHERE job_id = %s"
_POLL_SECONDS = 0.01
_PATIENCE_SECONDS = 60
_LEAST_ROWS_PER_SECOND = 2_000


@dataclass(frozen=True, slots=True)
class Made:
    """A report that was made."""

    rows: int
    seconds: float
    #: Of the child process that made it; 0 where there is none.
    peak_mb: float = 0.0

    @property
    def rows_per_s(self) -> float:
        """Rate from the command to the file on the disk."""
        return self.rows / self.seconds


def make(ground: Ground, name: str, rows: int) -> Made:
    """Make one report in the way that is named; its file is gone afterwards."""
    rows = min(rows, MOST_ROWS.get(name, rows))
    url = flights_url(ground, rows)
    folder = ground.folder / "artifacts"
    folder.mkdir()
    try:
        if name == "copy":
            return _copy(url, folder / "copy.csv", rows)
        if name.startswith("pandas_"):
            format_ = name.removeprefix("pandas_")
            return _pandas(url, folder / f"all.{format_}", format_, rows)
        return _report(ground, url, folder, name, rows)
    finally:
        shutil.rmtree(folder)


def _copy(url: str, path: Path, rows: int) -> Made:
    """Have psql write the CSV, and sync it: a report whose job is committed is on the disk."""
    psql = postgres_programs(server_account()) / "psql"
    copy = f"COPY (SELECT * FROM {FLIGHTS} LIMIT {rows}) TO STDOUT (FORMAT csv, HEADER)"  # noqa: S608 - our own names
    began = time.monotonic()
    with path.open("wb") as file:
        command = [str(psql), "-X", "-q", "-d", url, "-c", copy]
        subprocess.run(command, stdout=file, stdin=subprocess.DEVNULL, check=True)
        os.fsync(file.fileno())
    return Made(rows, time.monotonic() - began)


def _pandas(url: str, path: Path, format_: str, rows: int) -> Made:
    query = f"SELECT * FROM {FLIGHTS} LIMIT {rows}"  # noqa: S608 - our own names
    command = [sys.executable, "-m", "bench.pandas_report", url, query, format_, str(path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise RunFailed(f"pandas failed:\n{done.stderr[-TAIL_CHARACTERS:]}")
    found, seconds = done.stdout.split()
    if int(found) != rows:
        raise RunFailed(f"pandas read {found} rows, not {rows}")
    return Made(rows, float(seconds))


def _report(ground: Ground, url: str, folder: Path, format_: str, rows: int) -> Made:
    """Have a worker make the report, and read from the ledger how it ended.

    A child that has made the same report before: its libraries are loaded, and it
    knows that this one takes long.
    """
    place = ground.servers.fresh()
    subject = reporter(url, folder)
    with working(subject, place, ground) as crew, sender(place) as app:
        time.sleep(IDLE_SECONDS)
        for run in ("first", "measured"):
            began = time.monotonic()
            app.send_task(
                REPORT,
                kwargs={"name": "flights", "params": {"rows": rows}, "format": format_},
                queue=QUEUE,
                task_id=run,
                ignore_result=True,
            )
            _wait(place, run, rows, crew)
        return Made(rows, time.monotonic() - began, max(map(peak_memory_mb_of, crew.child_pids)))


def _wait(place: Place, job: str, rows: int, crew: Crew) -> None:
    """Wait until a job is committed with so many rows."""
    deadline = time.monotonic() + _PATIENCE_SECONDS + rows / _LEAST_ROWS_PER_SECOND
    with Target(place.database_url) as ledger:
        while (state := ledger.ask(_STATE, job)) in {None, "working"}:
            crew.check(deadline, "to make a report")
            time.sleep(_POLL_SECONDS)
        found = ledger.ask(_ROWS, job)
        if (state, found) != ("committed", rows):
            error = ledger.ask("SELECT error FROM celeriac.job WHERE id = %s", job)
            raise RunFailed(f"the job is {state}, with {found} of {rows} rows: {error}")
