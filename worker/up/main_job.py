"""The demo's main job: a month of flights as jobs and as a file, three reports, all checked."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from celeriac.contract import INGEST, QUEUES
from celeriac.errors import JobFailed
from postgres.overview import (
    JobCounts,
    QuarantinedRow,
    count_jobs,
    count_rows,
    read_quarantine,
    read_uncommitted,
)
from postgres.pool import Pool, PoolLimits
from postgres.transaction import transaction
from worker.transport.overview import count_reserved
from worker.up.file_job import FileJobFailed, Loaded, load
from worker.up.producer import Producer
from worker.up.report_jobs import NoReport, Reported, report
from worker.up.servers import Servers
from worker.up.verdict import Findings

ID_PREFIX = "flights-2013-01-"
#: Without any progress for so long, the main job has failed.
STALL_SECONDS = 60.0
LOOK_SECONDS = 0.1


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
    reports: list[Reported]
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

    def _report(self, pool: Pool) -> list[Reported]:
        try:
            return report(self._servers, pool, self._pause)
        except (NoReport, JobFailed) as error:
            raise MainJobFailed(str(error)) from error

    def _look(  # noqa: PLR0913, PLR0917 - what was seen before it
        self,
        pool: Pool,
        before: JobCounts,
        sent: int,
        seconds: float,
        reports: list[Reported],
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
                reports=reports,
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
