"""Take the rows of jobs apart, just far enough to know which columns they bring."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from tasks.kind import Job


class HasRows(Protocol):
    """A payload that carries rows as JSON text."""

    rows: list[msgspec.Raw]


PayloadWithRows = TypeVar("PayloadWithRows", bound=HasRows)


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it came, its place in its job, and the columns it names."""

    job_id: str
    number: int
    text: str
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row was refused, in PostgreSQL's words."""

    sqlstate: str
    message: str
    column: str | None = None


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_rows(jobs: Iterable[Job[PayloadWithRows]]) -> Sequence[Row]:
    """Return the rows of all jobs in arrival order, numbered from 1 inside each job."""
    return [
        Row(job.id, number, str(raw, "utf-8"), frozenset(_members.decode(raw)))
        for job in jobs
        for number, raw in enumerate(job.payload.rows, start=1)
    ]
