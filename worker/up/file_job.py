"""The demo's file: the month as one job, its refused rows in the quarantine, one of them mended."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import Progress

from celeriac import Client
from celeriac.errors import WaitTimeout
from postgres.pool import Pool
from postgres.quarantined import EntryState, QuarantineEntry, Selection, read_page
from postgres.transaction import transaction
from worker.replay import ReplayRow, replay
from worker.up.environment import ROOT
from worker.up.servers import Servers

FILE = ROOT / "examples" / "flights" / "flights-2013-01.csv.gz"
TARGET = "departures"
JOB_ID = "departures-2013-01"
#: What a row must not say, and what somebody who asked the airline writes instead.
COLUMN = "dep_delay"
_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.1


class FileJobFailed(Exception):
    """The file was not loaded, or the mended row did not come in; the message says why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of the file, and of the row that was mended."""

    #: Its account, by the words of the ledger.
    result: Mapping[str, Any]
    refused: list[QuarantineEntry]
    mended: QuarantineEntry


def load(
    servers: Servers, inbox: Path, bar: Progress, pool: Pool, pause: Callable[[], None]
) -> Loaded:
    """Load the file, then replay one refused row, mended; the second time nothing is left to do."""
    shutil.copyfile(FILE, inbox / FILE.name)
    with Client(servers.broker_url, servers.result_url) as client:
        ticket = client.ingest_file(
            TARGET, FILE.name, file_options={"null": "NA"}, id=JOB_ID, track=True
        )
        task = bar.add_task("file loaded", total=FILE.stat().st_size)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                result = ticket.wait(_LOOK_SECONDS)
                break
            except WaitTimeout as error:
                if time.monotonic() > deadline:
                    raise FileJobFailed(f"the file was not loaded: {error}") from error
            pause()
            progress = ticket.progress() or {}
            bar.update(task, completed=progress.get("bytes", 0), total=progress.get("total_bytes"))
        bar.update(task, completed=1, total=1)
    refused = _entries(pool)
    return Loaded(result, refused, _mend(refused, pool, pause))


def _mend(refused: list[QuarantineEntry], pool: Pool, pause: Callable[[], None]) -> QuarantineEntry:
    """Replay the first refused row without the value that was refused; wait until it is in."""
    if not refused:
        raise FileJobFailed("no row of the file was refused, although two are known to be")
    first = refused[0]
    if first.state is EntryState.QUARANTINED:
        row = msgspec.json.decode(first.row or "{}") | {COLUMN: None}
        replay([ReplayRow(first.id, first.target, msgspec.json.encode(row).decode())], pool)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (entry := _entries(pool)[0]).state is not EntryState.REPLAYED:
        if time.monotonic() > deadline:
            raise FileJobFailed(f"row {first.row_number} was replayed, and is {entry.state} still")
        pause()
    return entry


def _entries(pool: Pool) -> list[QuarantineEntry]:
    with transaction(pool) as cursor:
        return read_page(Selection(jobs=[JOB_ID]), cursor)
