"""The kind ``celeriac.ingest``: rows of a job into the target that it names."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from celeriac.contract import INGEST, MAX_ROWS, QUEUES, State
from postgres import Cursor
from postgres.quarantine import QuarantinedRow, quarantine
from tasks.insert import TargetRows, Written
from tasks.kind import (
    BadPayload,
    Counts,
    Job,
    Kind,
    Limits,
    Look,
    Outcome,
    Preview,
    Tools,
    WholeWrites,
)
from tasks.rows import Row, read_rows
from tasks.targets import Target, load_targets
from tasks.write_rows import Closed, write_rows
from tasks.write_whole import plan_inserts

_BRACE = ord("{")


class IngestPayload(msgspec.Struct, forbid_unknown_fields=True):
    """The arguments of ``celeriac.ingest``; rows are still the text they came as."""

    target: str
    rows: list[msgspec.Raw]


class Ingest(Kind[IngestPayload]):
    """Insert rows; set aside what PostgreSQL refuses, with its reason."""

    name = INGEST
    queue = QUEUES[INGEST]
    payload = IngestPayload
    limits = Limits(jobs=1_000, rows=20_000, body_bytes=16 * 1024 * 1024, seconds=120)

    def __init__(self) -> None:
        self.targets: Mapping[str, Target] = {}

    def open(self, tools: Tools) -> None:
        """Read which targets there are."""
        self.targets = load_targets(tools.catalog)

    def subject(self, payload: IngestPayload) -> str:
        """The target."""
        return payload.target

    def rows(self, payload: IngestPayload) -> int:
        """The rows sent."""
        return len(payload.rows)

    def check(self, payload: IngestPayload) -> None:
        """Refuse an unknown target and a number of rows outside the limits."""
        if payload.target not in self.targets:
            known = ", ".join(sorted(self.targets)) or "none"
            raise BadPayload(f"target {payload.target!r} is not in the catalog, which has: {known}")
        if not 1 <= len(payload.rows) <= MAX_ROWS:
            raise BadPayload(f"rows must be 1 to {MAX_ROWS}, got {len(payload.rows)}")
        for row in payload.rows:
            if memoryview(row)[0] != _BRACE:
                number = payload.rows.index(row) + 1
                raise BadPayload(f"rows must be objects, row {number} is {bytes(row)[:40]!r}")

    def preview(self, arguments: Mapping[str, Any]) -> Preview:
        """Name the target and count the rows."""
        target, rows = arguments.get("target"), arguments.get("rows")
        count = len(rows) if isinstance(rows, list) else 0
        unit = "row" if count == 1 else "rows"
        return Preview(subject=str(target), rows=max(count, 1), text=f"{target} · {count} {unit}")

    def write_whole(self, payloads: Sequence[IngestPayload], look: Look) -> WholeWrites:
        """Insert rows as they come, where nothing but an insert is asked for."""
        return plan_inserts(payloads, self.targets, look)

    def run(self, jobs: Sequence[Job[IngestPayload]], cursor: Cursor) -> list[Outcome]:
        """Write all rows target by target; a closed target closes its own jobs only."""
        groups = [
            TargetRows(self.targets[name], read_rows(members))
            for name, members in sorted(_by_target(jobs).items())
        ]
        written, closed = write_rows(groups, cursor)
        quarantine(list(_quarantined(written)), cursor)
        return _outcomes(jobs, written, closed)


def _by_target(jobs: Sequence[Job[IngestPayload]]) -> dict[str, list[Job[IngestPayload]]]:
    groups: dict[str, list[Job[IngestPayload]]] = defaultdict(list)
    for job in jobs:
        groups[job.payload.target].append(job)
    return groups


def _quarantined(written: Sequence[Written]) -> list[QuarantinedRow]:
    return [
        QuarantinedRow(
            job_id=row.job_id,
            row_number=row.number,
            target=one.target.name,
            row=row.text,
            column=reason.column,
            sqlstate=reason.sqlstate,
            message=reason.message,
        )
        for one in written
        for row, reason in one.refused
    ]


def _outcomes(
    jobs: Sequence[Job[IngestPayload]], written: Sequence[Written], closed: Mapping[str, Closed]
) -> list[Outcome]:
    exceptions = _exceptions(written)
    outcomes = []
    for job in jobs:
        closure = closed.get(job.payload.target)
        if closure is not None:
            outcomes.append(Outcome(job.id, closure.state, error=closure.reason))
            continue
        others = exceptions.get(job.id, {})
        inserted = len(job.payload.rows) - sum(others.values())
        outcomes.append(Outcome(job.id, State.COMMITTED, Counts(inserted=inserted, **others)))
    return outcomes


def _exceptions(written: Sequence[Written]) -> dict[str, dict[str, int]]:
    """Count, job by job, the rows that were not simply inserted."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for one in written:
        rows: list[tuple[Row, str]] = [
            *one.accounts,
            *((row, "quarantined") for row, _ in one.refused),
        ]
        for row, account in rows:
            counts[row.job_id][account] = counts[row.job_id].get(account, 0) + 1
    return counts


INGEST_KIND = Ingest()

__all__ = ["INGEST_KIND", "Ingest", "IngestPayload"]
