"""Take the rows of jobs apart, just far enough to know which columns they bring."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Row:
    """One row, its place in its job, and the columns it names.

    ``text`` is what goes in; ``raw`` what came, if a target's mapping made
    something else of it. ``defaulted`` are columns that only a new row takes.
    """

    job_id: str
    number: int
    text: str
    columns: frozenset[str]
    defaulted: frozenset[str] = frozenset()
    raw: str | None = None

    @property
    def came(self) -> str:
        """The row as it came."""
        return self.text if self.raw is None else self.raw


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row was refused, in PostgreSQL's words."""

    sqlstate: str
    message: str
    column: str | None = None


members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_rows(job_id: str, raws: Iterable[msgspec.Raw]) -> list[Row]:
    """Return rows of a job, numbered from 1."""
    return [
        Row(job_id, number, str(raw, "utf-8"), frozenset(members_of(raw)))
        for number, raw in enumerate(raws, start=1)
    ]
