"""The demo's reports: a page with a chart, a workbook, one in Python; their files looked at."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from celeriac import Client
from celeriac.errors import WaitTimeout
from postgres.overview import ReportFile, read_report_files
from postgres.pool import Pool
from postgres.transaction import transaction
from tasks.stores import file_system_of
from worker.up.servers import Servers

#: What is asked, in which format, and the fewest rows that the month gives.
ASKED = MappingProxyType(
    {"carrier_delays": ("html", 16), "flights_book": ("xlsx", 191), "delays_by_hour": ("html", 19)}
)
ID_PREFIX = "flights-2013-01-report-"
REPORT_SECONDS = 120.0
TICKET_SECONDS = 0.5
_PIECE_BYTES = 1 << 20


class NoReport(Exception):
    """A report did not come; the message says which."""


class _Manifest(msgspec.Struct):
    """What is looked at in a manifest."""

    snapshot: str
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Reported:
    """A report that ran: what PostgreSQL knows of it, and what is wrong with its file."""

    file: ReportFile
    mistakes: tuple[str, ...]


def report(servers: Servers, pool: Pool, pause: Callable[[], None]) -> list[Reported]:
    """Ask for each report under an id that no earlier run took; return what came of it."""
    with transaction(pool) as cursor:
        taken = [file.job_id for file in read_report_files(cursor, ID_PREFIX)]
    # Not their count: old runs are forgotten one day.
    number = max((int(job_id.rpartition("-")[2]) for job_id in taken), default=0) + 1
    ids = {f"{ID_PREFIX}{name}-{number}": name for name in ASKED}
    with Client(servers.broker_url, servers.result_url) as client:
        for job_id, name in ids.items():
            client.report(name, format=ASKED[name][0], id=job_id)
        for job_id in ids:
            _wait(client, job_id, pause)
    with transaction(pool) as cursor:
        files = {file.job_id: file for file in read_report_files(cursor, ID_PREFIX)}
    mine = [files[job_id] for job_id in ids if job_id in files]
    return [Reported(file, tuple(_mistakes(file))) for file in mine]


def _wait(client: Client, job_id: str, pause: Callable[[], None]) -> None:
    deadline = time.monotonic() + REPORT_SECONDS
    while True:
        try:
            client.ticket(job_id).wait(TICKET_SECONDS)
            return
        except WaitTimeout as error:
            if time.monotonic() > deadline:
                raise NoReport(f"the report did not come: {error}") from error
        pause()


def _mistakes(file: ReportFile) -> Iterator[str]:
    """Compare a file with what PostgreSQL says of it, and with its own manifest."""
    _, fewest_rows = ASKED[file.report]
    if file.rows < fewest_rows:
        yield f"{file.report} has {file.rows:,} rows, fewer than {fewest_rows:,}"
    files, path = file_system_of(file.url)
    with files.open(path, "rb") as opened:
        digest = hashlib.sha256()
        while piece := opened.read(_PIECE_BYTES):
            digest.update(piece)
    if digest.hexdigest() != file.sha256:
        yield f"{file.url} is not what was written: its sha256 differs"
    manifest = msgspec.json.decode(files.cat_file(f"{path}.json"), type=_Manifest)
    if manifest != _Manifest(file.snapshot, file.rows, file.sha256):
        yield f"{file.url} and its manifest differ from the run in PostgreSQL"
