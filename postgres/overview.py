"""Sum up what the ledger holds of a family of jobs, those whose ids begin alike."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass

from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, refusals
from postgres.statements import compose, statement


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Jobs, their rows by how they ended, and the transactions that they took."""

    jobs: int
    committed: int
    rows: int
    inserted: int
    updated: int
    ignored: int
    superseded: int
    quarantined: int
    batches: int

    @property
    def accounted(self) -> int:
        """Rows of which it is known how they ended."""
        return self.inserted + self.updated + self.ignored + self.superseded + self.quarantined

    def __sub__(self, earlier: "JobCounts") -> "JobCounts":
        """Return what came after an earlier look."""
        pairs = zip(astuple(self), astuple(earlier), strict=True)
        return JobCounts(*(now - then for now, then in pairs))


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One row set aside: where it came from and what PostgreSQL said."""

    job_id: str
    row_number: int
    column: str | None
    sqlstate: str
    message: str


@dataclass(frozen=True, slots=True)
class UncommittedJob:
    """One job of the ledger that has no effect, and why."""

    id: str
    state: str
    error: str | None


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One report's file."""

    job_id: str
    report: str
    url: str
    rows: int
    sha256: str
    snapshot: str


def count_jobs(cursor: Cursor, task: str, id_prefix: str) -> JobCounts:
    """Count the jobs of a task that the ledger knows."""
    (row,) = _read(cursor, "count_jobs", {"task": task, "id_prefix": id_prefix})
    return JobCounts(*row)


def read_quarantine(cursor: Cursor, id_prefix: str, limit: int) -> list[QuarantinedRow]:
    """Return the first rows that were set aside."""
    values = {"id_prefix": id_prefix, "limit": limit}
    return [QuarantinedRow(*row) for row in _read(cursor, "read_quarantine_reasons", values)]


def read_uncommitted(cursor: Cursor, task: str, id_prefix: str, limit: int) -> list[UncommittedJob]:
    """Return the first jobs that the ledger knows and that are not committed."""
    values = {"task": task, "id_prefix": id_prefix, "limit": limit}
    return [UncommittedJob(*row) for row in _read(cursor, "read_uncommitted_jobs", values)]


def read_report_files(cursor: Cursor, id_prefix: str) -> list[ReportFile]:
    """Return the files of finished reports, oldest first."""
    return [
        ReportFile(*row) for row in _read(cursor, "read_report_files", {"id_prefix": id_prefix})
    ]


def count_rows(cursor: Cursor, schema: str, table: str) -> int:
    """Count the rows of a table."""
    query = compose("count_rows", table=sql.Identifier(schema, table))
    with refusals(Phase.READ):
        cursor.execute(query)
        (row,) = cursor.fetchall()
    return int(row[0])


def _read(cursor: Cursor, name: str, values: Mapping[str, object]) -> list[tuple]:  # type: ignore[type-arg]
    with refusals(Phase.READ):
        cursor.execute(statement(name), values)
        return cursor.fetchall()
