"""The demo's main job: a month of flights as jobs and as a file, two reports, the sums checked."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from celeriac import Client
from celeriac.contract import INGEST, QUEUES
from celeriac.errors import JobFailed, WaitTimeout
from postgres.overview import (
    JobCounts,
    QuarantinedRow,
    ReportFile,
    count_jobs,
    count_rows,
    read_quarantine,
    read_report_files,
    read_uncommitted,
)
from postgres.pool import Pool, PoolLimits
from postgres.transaction import transaction
from worker.transport.overview import count_reserved
from worker.up.file_job import FileJobFailed, Loaded, load
from worker.up.producer import Producer
from worker.up.servers import Servers
from worker.up.verdict import Findings

ID_PREFIX = "flights-2013-01-"
REPORT = "carrier_delays"
REPORT_PREFIX = f"{ID_PREFIX}report-"
FORMATS = ("html", "csv")
#: Without any progress for so long, the main job has failed.
STALL_SECONDS = 60.0
REPORT_SECONDS = 120.0
LOOK_SECONDS = 0.1
TICKET_SECONDS = 0.5


class MainJobFailed(Exception):
    """The main job did not come to its end; the message says where it stopped."""


class MainJobStopped(Exception):
    """Somebody ended the stack while the main job ran."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the main job did and found."""

    findings: Findings
    new: JobCounts
    seconds: float
    reasons: list[QuarantinedRow]
    reports: list[ReportFile]
    loaded: Loaded


class MainJob:
    """Send, watch, report, look; ends soon after ``ending`` is set."""

    def __init__(
        self, servers: Servers, folder: Path, console: Console, ending: threading.Event
    ) -> None:
        self._servers = servers
        self._log = folder / "log" / "producer.log"
        self._inbox = folder / "inbox"
        self._console = console
        self._ending = ending

    def run(self) -> Run:
        """Do all of it; the same ids at every run, so that a second one adds only reports."""
        pool = Pool(self._servers.database_url, PoolLimits(size=1))
        with closing(pool):
            before = self._count(pool)
            started = time.monotonic()
            sent = self._ingest(pool)
            seconds = time.monotonic() - started
            loaded = self._load(pool)
            reports = self._report(pool)
            return self._look(pool, before, sent, seconds, reports, loaded)

    def _ingest(self, pool: Pool) -> int:
        """Return how many jobs were sent, when the ledger holds them all and Redis none."""
        with Producer(self._servers.broker_url, self._log) as producer, self._bar() as bar:
            task = bar.add_task("jobs committed", total=None)
            patience = _Patience()
            while True:
                done, waiting = self._count(pool).jobs, self._waiting()
                sent = producer.sent_jobs()
                bar.update(task, completed=done, total=sent)
                if producer.returncode:
                    self._pause()  # Ctrl-C may have reached it before its session was its own
                    raise MainJobFailed(f"the producer failed:\n{producer.words()}")
                if sent is not None and done >= sent and not waiting:
                    return sent
                patience.spend(f"{done:,} jobs in the ledger, {waiting:,} in Redis")
                self._pause()

    def _load(self, pool: Pool) -> Loaded:
        try:
            with self._bar() as bar:
                return load(self._servers, self._inbox, bar, pool, self._pause)
        except (FileJobFailed, JobFailed) as error:
            raise MainJobFailed(str(error)) from error

    def _report(self, pool: Pool) -> list[ReportFile]:
        with transaction(pool) as cursor:
            number = len(read_report_files(cursor, REPORT_PREFIX)) // len(FORMATS) + 1
        ids = [f"{REPORT_PREFIX}{extension}-{number}" for extension in FORMATS]
        with Client(self._servers.broker_url, self._servers.result_url) as client:
            for job_id, extension in zip(ids, FORMATS, strict=True):
                client.report(REPORT, format=extension, id=job_id)
            for job_id in ids:
                self._wait(client, job_id)
        with transaction(pool) as cursor:
            files = read_report_files(cursor, REPORT_PREFIX)
        return [file for file in files if file.job_id in ids]

    def _wait(self, client: Client, job_id: str) -> None:
        deadline = time.monotonic() + REPORT_SECONDS
        while True:
            try:
                client.ticket(job_id).wait(TICKET_SECONDS)
                return
            except WaitTimeout as error:
                if time.monotonic() > deadline:
                    raise MainJobFailed(f"the report did not come: {error}") from error
            self._stop_if_ending()

    def _look(  # noqa: PLR0913, PLR0917 - what was seen before it
        self,
        pool: Pool,
        before: JobCounts,
        sent: int,
        seconds: float,
        reports: list[ReportFile],
        loaded: Loaded,
    ) -> Run:
        with transaction(pool) as cursor:
            counts = count_jobs(cursor, INGEST, ID_PREFIX)
            findings = Findings(
                sent_jobs=sent,
                counts=counts,
                uncommitted=read_uncommitted(cursor, INGEST, ID_PREFIX, limit=1),
                table_rows=count_rows(cursor, "public", "flights"),
                loaded=loaded.result,
                departures=count_rows(cursor, "public", "departures"),
            )
            reasons = read_quarantine(cursor, ID_PREFIX, limit=1)
        return Run(findings, counts - before, seconds, reasons, reports, loaded)

    def _count(self, pool: Pool) -> JobCounts:
        with transaction(pool) as cursor:
            return count_jobs(cursor, INGEST, ID_PREFIX)

    def _waiting(self) -> int:
        with self._servers.valkey.client() as client:
            # What a worker has reserved but not settled is no longer in the queue.
            return int(client.llen(QUEUES[INGEST])) + count_reserved(client)

    def _pause(self) -> None:
        self._ending.wait(LOOK_SECONDS)
        self._stop_if_ending()

    def _stop_if_ending(self) -> None:
        if self._ending.is_set():
            raise MainJobStopped

    @contextmanager
    def _bar(self) -> Iterator[Progress]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self._console) as progress:
            yield progress


class _Patience:
    """Runs out when nothing changes any more."""

    def __init__(self) -> None:
        self._seen = ""
        self._since = time.monotonic()

    def spend(self, seen: str) -> None:
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._since = seen, now
        if now - self._since > STALL_SECONDS:
            raise MainJobFailed(f"nothing moved for {STALL_SECONDS:g} s: {seen}")
