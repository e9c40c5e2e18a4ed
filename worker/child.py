"""What one child process works with: its pools and its kinds, opened after the fork."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postgres.pool import Pool, PoolLimits
from postgres.session import Session
from postgres.snapshot import snapshot
from postgres.snapshot_cursor import SnapshotCursor, Terms
from tasks.kind import Kind, Tools
from worker.progress import Signals
from worker.unpack import PlainReader


@dataclass(frozen=True, slots=True)
class Plan:
    """What to open in a child process."""

    worker: str
    database_url: str
    report_database_url: str
    limits: PoolLimits
    session: Session
    catalog: Path
    artifacts: str
    inbox: Path | None
    report_seconds: float
    #: The most rows of one transaction; a single job always fits.
    batch_rows: int = 20_000
    file_prefixes: Sequence[str] = ()
    file_max_bytes: int = 1 << 40
    signals: Signals = field(default_factory=Signals)
    #: Under which a report reads.
    report_terms: Terms = field(default_factory=Terms)
    #: How long a small report that is finished may wait for its companions.
    company_seconds: float = 0.25


@dataclass(frozen=True, slots=True)
class Child:
    """The pools, kinds and name of one child process."""

    worker: str
    pool: Pool
    reports: Pool
    kinds: Mapping[str, Kind[Any]]
    #: By task, of those kinds that may say what plain jobs write.
    readers: Mapping[str, PlainReader]
    batch_rows: int
    dead_peer_seconds: int
    signals: Signals

    def close(self) -> None:
        """Close all connections."""
        self.pool.close()
        self.reports.close()


def open_child(plan: Plan, kinds: Mapping[str, Kind[Any]]) -> Child:
    """Open the pools of this process, without connecting yet, and the kinds on them."""
    pool = Pool(plan.database_url, plan.limits, plan.session)
    reports = pool
    if plan.report_database_url != plan.database_url:
        reports = Pool(plan.report_database_url, plan.limits, plan.session)

    def open_snapshot() -> AbstractContextManager[SnapshotCursor]:
        return snapshot(reports, plan.report_terms)

    tools = Tools(
        catalog=plan.catalog,
        artifacts=plan.artifacts,
        inbox=plan.inbox,
        snapshot=open_snapshot,
        report_seconds=plan.report_seconds,
        company_seconds=plan.company_seconds,
        reads_elsewhere=reports is not pool,
        file_prefixes=plan.file_prefixes,
        file_max_bytes=plan.file_max_bytes,
        is_unwanted=plan.signals.is_unwanted,
    )
    for kind in kinds.values():
        kind.open(tools)
    readers = {kind.name: PlainReader(kind) for kind in kinds.values() if kind.writes_whole}
    return Child(
        worker=plan.worker,
        pool=pool,
        reports=reports,
        kinds=kinds,
        readers=readers,
        batch_rows=plan.batch_rows,
        dead_peer_seconds=plan.session.dead_peer_seconds,
        signals=plan.signals,
    )
