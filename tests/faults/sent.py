"""What a producer knows of a job that it sent."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What the producer knows about a send."""

    ACKED = "ack"
    FAILED = "fail"
    INDETERMINATE = "indeterminate"


@dataclass(frozen=True, slots=True)
class SentRow:
    """One row as it was sent; ``amount`` is None when it is bad on purpose."""

    row: int
    amount: int | None
    account: int | None = None

    @property
    def is_bad(self) -> bool:
        """Tell whether this row belongs into quarantine."""
        return self.amount is None


@dataclass(frozen=True, slots=True)
class SentJob:
    """One job with the best news about its sends."""

    id: str
    task: str
    target: str
    rows: tuple[SentRow, ...]
    payload_hash: str
    wants_result: bool = False
    attempts: int = 1
    outcome: Outcome = Outcome.INDETERMINATE

    @property
    def bad_rows(self) -> int:
        """Count the rows that are bad on purpose."""
        return sum(row.is_bad for row in self.rows)
