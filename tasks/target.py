"""Say what a target is: a table that jobs may name, and on what terms they write to it.

``docs/targets.md`` says what each entry of the catalog means.
"""

from dataclasses import dataclass
from enum import StrEnum

from postgres.insert_rows import OnConflict


class OnBadRow(StrEnum):
    """What a row that PostgreSQL refuses means for its job."""

    QUARANTINE = "quarantine"
    REJECT_JOB = "reject_job"


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """Where a column's value comes from: a member, else the default; or a constant. JSON text."""

    column: str
    member: str | None = None
    default: str | None = None
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class MaxBad:
    """How much of a job may be bad: rows, a share of its rows, or both, each a limit of its own."""

    rows: int | None = None
    share: float | None = None

    def __str__(self) -> str:
        limits = [] if self.rows is None else [f"{self.rows} rows"]
        return " and ".join(limits + ([] if self.share is None else [f"a share of {self.share:g}"]))


@dataclass(frozen=True, slots=True)
class Target:
    """A table that jobs may name, its key, what a repeated key means, and how rows become its."""

    name: str
    schema: str
    table: str
    key: tuple[str, ...]
    on_conflict: OnConflict
    #: An update happens only if the incoming value of this column is newer.
    newest: str | None = None
    #: Members that are no column are left out, or kept in this column; else the row is refused.
    ignores_unknown: bool = False
    unknown_column: str | None = None
    columns: tuple[ColumnRule, ...] = ()
    #: What values of timestamptz mean that name no zone; None is UTC.
    timezone: str | None = None
    #: Columns that receive the job's id and the number of the batch's transaction.
    job_column: str | None = None
    batch_column: str | None = None
    on_bad_row: OnBadRow = OnBadRow.QUARANTINE
    max_bad: MaxBad | None = None
    #: Columns whose values nobody is to read in the quarantine.
    redact: tuple[str, ...] = ()

    @property
    def hidden(self) -> frozenset[str]:
        """The columns to redact, and the members of rows that feed them."""
        members = {rule.member for rule in self.columns if rule.column in self.redact}
        return frozenset(self.redact) | {member for member in members if member is not None}

    @property
    def needed(self) -> frozenset[str]:
        """The columns that every row has to bring."""
        if self.on_conflict is OnConflict.ERROR:
            return frozenset()
        return frozenset(self.key) | ({self.newest} if self.newest else set())

    @property
    def named_columns(self) -> dict[str, str]:
        """The columns that the declaration names, each with the entry that names it."""
        rules = {rule.column: "columns" for rule in self.columns}
        entries = {
            "newest": self.newest,
            "unknown": self.unknown_column,
            "provenance.job": self.job_column,
            "provenance.batch": self.batch_column,
        }
        keys = dict.fromkeys(self.key, "key")
        return {**keys, **rules, **{column: entry for entry, column in entries.items() if column}}


def too_many_bad(most: MaxBad | None, bad: int, rows: int) -> bool:
    """Tell whether so many bad of so many rows of a job are above a limit."""
    if most is None or not bad:
        return False
    above_rows = most.rows is not None and bad > most.rows
    return above_rows or (most.share is not None and bad > most.share * rows)
