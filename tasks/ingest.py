"""The kind ``celeriac.ingest``: rows of a job into the target that it names."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from celeriac.contract import (
    INGEST,
    MAX_ROWS,
    QUEUES,
    SEVERAL_TARGETS,
    SUBJECT_SEPARATOR,
    State,
)
from postgres import Cursor
from postgres.quarantine import QuarantinedRow, quarantine
from tasks.fit import forget_tables
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
    Waits,
    WholeWrites,
)
from tasks.redact import redact
from tasks.rows import Row, read_rows
from tasks.targets import Target, load_targets
from tasks.write_rows import Closed, write_rows
from tasks.write_whole import plan_inserts

_BRACE = ord("{")


class IngestPayload(msgspec.Struct, forbid_unknown_fields=True):
    """The arguments of ``celeriac.ingest``; rows are still the text they came as.

    With the target ``*`` they come by the names of their targets.
    """

    target: str
    rows: list[msgspec.Raw] | dict[str, list[msgspec.Raw]]


class Ingest(Kind[IngestPayload]):
    """Insert rows; set aside what PostgreSQL refuses, with its reason."""

    name = INGEST
    queue = QUEUES[INGEST]
    reads_reports = False
    payload = IngestPayload
    limits = Limits(jobs=1_000, rows=20_000, body_bytes=16 * 1024 * 1024, seconds=120)

    def __init__(self) -> None:
        self.targets: Mapping[str, Target] = {}

    def open(self, tools: Tools) -> None:
        """Read which targets there are."""
        self.targets = load_targets(tools.catalog)
        forget_tables()

    def subject(self, payload: IngestPayload) -> str:
        """The target, or the names of several."""
        if payload.target == SEVERAL_TARGETS:
            return SUBJECT_SEPARATOR.join(sorted(payload.rows))  # type: ignore[arg-type]  # checked
        return payload.target

    def rows(self, payload: IngestPayload) -> int:
        """The rows sent."""
        rows = payload.rows
        return len(rows) if isinstance(rows, list) else sum(map(len, rows.values()))

    def check(self, payload: IngestPayload) -> None:
        """Refuse an unknown target and a number of rows outside the limits."""
        rows = payload.rows
        if not isinstance(rows, list) or payload.target not in self.targets:
            self._check_several(payload)
            return
        _check_count(len(rows))
        for row in rows:
            if memoryview(row)[0] != _BRACE:
                raise _no_object(rows, row)

    def preview(self, arguments: Mapping[str, Any]) -> Preview:
        """Name the target and count the rows."""
        target, rows = arguments.get("target"), arguments.get("rows")
        if target == SEVERAL_TARGETS and isinstance(rows, dict):
            target = SUBJECT_SEPARATOR.join(sorted(rows))
            rows = [row for some in rows.values() if isinstance(some, list) for row in some]
        count = len(rows) if isinstance(rows, list) else 0
        unit = "row" if count == 1 else "rows"
        return Preview(subject=str(target), rows=max(count, 1), text=f"{target} · {count} {unit}")

    def write_whole(self, payloads: Sequence[IngestPayload], look: Look) -> WholeWrites:
        """Insert rows as they come, where nothing but an insert is asked for."""
        return plan_inserts(payloads, self.targets, look)

    def run(self, jobs: Sequence[Job[IngestPayload]], cursor: Cursor) -> list[Outcome]:
        """Write all rows target by target; a closed target closes its own jobs only."""
        groups = [
            TargetRows(self.targets[name], rows) for name, rows in sorted(_by_target(jobs).items())
        ]
        is_last_try = any(job.is_last_try for job in jobs)
        written, closed = write_rows(groups, cursor, is_last_try=is_last_try)
        quarantine(list(_quarantined(written)), cursor)
        return [*_outcomes(jobs, written, closed)]

    def _check_several(self, payload: IngestPayload) -> None:
        if (payload.target == SEVERAL_TARGETS) is isinstance(payload.rows, list):
            raise BadPayload(
                f"rows must be a list of objects, or with target {SEVERAL_TARGETS!r} an object "
                f"from targets to such lists, got target {payload.target!r}"
                f" and {'a list' if isinstance(payload.rows, list) else 'an object'}"
            )
        for name, rows in rows_by_target(payload).items():
            if name not in self.targets:
                known = ", ".join(sorted(self.targets)) or "none"
                raise BadPayload(f"target {name!r} is not in the catalog, which has: {known}")
            for row in rows:
                if memoryview(row)[0] != _BRACE:
                    raise _no_object(rows, row)
        _check_count(self.rows(payload))


def rows_by_target(payload: IngestPayload) -> Mapping[str, list[msgspec.Raw]]:
    """Return the rows of a job by the names of their targets."""
    rows = payload.rows
    return {payload.target: rows} if isinstance(rows, list) else rows


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_ROWS:
        raise BadPayload(f"rows must be 1 to {MAX_ROWS}, got {count}")


def _no_object(rows: Sequence[msgspec.Raw], row: msgspec.Raw) -> BadPayload:
    number = rows.index(row) + 1
    shown = bytes(row)[:40].decode("utf-8", "backslashreplace")
    return BadPayload(f"rows must be objects, row {number} is {shown}")


def _by_target(jobs: Sequence[Job[IngestPayload]]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for job in jobs:
        for name, raws in rows_by_target(job.payload).items():
            groups[name] += read_rows(job.id, raws)
    return groups


def _quarantined(written: Sequence[Written]) -> list[QuarantinedRow]:
    return [
        redact(
            QuarantinedRow(
                job_id=row.job_id,
                row_number=row.number,
                target=one.target.name,
                row=row.came,
                column=reason.column,
                sqlstate=reason.sqlstate,
                message=reason.message,
            ),
            one.target.hidden,
        )
        for one in written
        for row, reason in one.refused
    ]


def _outcomes(
    jobs: Sequence[Job[IngestPayload]], written: Sequence[Written], closed: Mapping[str, Closed]
) -> Iterator[Outcome]:
    exceptions = _exceptions(written)
    for job in jobs:
        closure = closed.get(job.id)
        if closure is not None:
            yield _closed(job.id, closure)
            continue
        others = exceptions.get(job.id, {})
        inserted = INGEST_KIND.rows(job.payload) - sum(others.values())
        yield Outcome(job.id, State.COMMITTED, Counts(inserted=inserted, **others))


def _closed(job_id: str, closure: Closed) -> Outcome:
    waits = Waits.AS_LONG_AS_IT_TAKES if closure.passes_by_itself else Waits.WITH_ITS_SUBJECT
    return Outcome(job_id, closure.state, error=closure.reason, closes=closure.target, waits=waits)


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
