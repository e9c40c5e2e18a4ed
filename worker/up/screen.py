"""What `up` says on the screen."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from worker.up.main_job import Run
from worker.up.servers import Servers


def say_servers(console: Console, servers: Servers, folder: Path) -> None:
    """Say where the data is, and whether it was there before."""
    postgres, valkey = servers.postgres, servers.valkey
    old = "data of an earlier run" if postgres.reused or valkey.reused else "new data"
    console.print(f"PostgreSQL and Valkey run, with {old} in {folder}", highlight=False)
    if not postgres.data.is_relative_to(folder):
        console.print(
            f"  PostgreSQL refuses to run as root: another account runs it on {postgres.data}",
            highlight=False,
        )


def say_run(console: Console, run: Run, flower_url: str) -> None:
    """Say what the main job did, in a table."""
    counts, new = run.findings.counts, run.new
    table = Table("jobs", "rows", "quarantined", "batches", "rows/batch", "jobs/s", title="ingest")
    table.add_row(
        f"{counts.jobs:,}",
        f"{counts.rows:,}",
        f"{counts.quarantined:,}",
        f"{counts.batches:,}",
        f"{counts.rows / max(counts.batches, 1):,.1f}",
        f"{new.jobs / run.seconds:,.0f}" if new.jobs else "-",
    )
    console.print(table)
    if new.jobs < run.findings.sent_jobs:
        known = run.findings.sent_jobs - new.jobs
        console.print(
            f"{known:,} of these jobs had run before: the ledger knew them, nothing counts twice",
            highlight=False,
        )
    for row in run.reasons:
        where = f"row {row.row_number} of {row.job_id}, column {row.column}"
        console.print(f"quarantined: {escape(where)}: {escape(row.message)}", highlight=False)
    _say_loaded(console, run)
    for one in run.reports:
        place = f"{_place(one.file.url)} ({one.file.rows:,} rows)"
        console.print(f"report: {one.file.report}: {place}", highlight=False)
    console.print(f"Flower: {flower_url}", highlight=False)


def _say_loaded(console: Console, run: Run) -> None:
    """Say what became of the file, and of the row that was mended."""
    counts = ", ".join(
        f"{count:,} {name}" for name, count in run.loaded.result.items() if name != "rows"
    )
    console.print(f"file: {run.loaded.result['rows']:,} rows, {counts}", highlight=False)
    for entry in run.loaded.refused:
        console.print(f"quarantined: line {entry.row_number}: {escape(entry.message)}")
    mended = run.loaded.mended
    console.print(
        f"mended and replayed: entry {mended.id}, see "
        f"`python -m worker quarantine show {mended.id}`",
        highlight=False,
    )


def _place(url: str) -> str:
    parts = urlsplit(url)
    return escape(unquote(parts.path) if parts.scheme == "file" else url)
