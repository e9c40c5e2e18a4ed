"""Cut rows without end into jobs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from celeriac.contract import MAX_BODY_BYTES, MAX_ROWS
from celeriac.errors import BadPayload
from celeriac.jobs import Job, check_target, rows_job
from celeriac.payload import write_row
from celeriac.rows import check_columns, row_object
from celeriac.shown import shown

#: What a body holds beside its rows, with room to spare.
_BYTES_BESIDE: Final = 4096


@dataclass(slots=True)
class Cut:
    """Rows on their way into jobs: ``rows_per_job`` each, fewer where they are large."""

    target: str
    columns: Sequence[str] | None
    rows_per_job: int
    _taken: int = 0
    _bytes: int = 0
    _texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_target(self.target)
        check_columns(self.columns)
        if type(self.rows_per_job) is not int or not 1 <= self.rows_per_job <= MAX_ROWS:
            raise BadPayload(
                f"rows_per_job must be 1 to {MAX_ROWS}, got {shown(self.rows_per_job)}"
            )

    def add(self, row: Any) -> Sequence[Job]:
        """Add a row; return the jobs that are whole now, none as a rule."""
        self._taken += 1
        where = f"row {self._taken}"
        text = write_row(where, row_object(where, row, self.columns))
        whole: list[Job] = []
        if self._texts and self._bytes + len(text) > MAX_BODY_BYTES - _BYTES_BESIDE:
            whole.append(self._end())
        self._texts.append(text)
        self._bytes += len(text) + 2
        if len(self._texts) >= self.rows_per_job:
            whole.append(self._end())
        return whole

    def rest(self) -> Sequence[Job]:
        """Return the last job, if rows are left."""
        return [self._end()] if self._texts else []

    def _end(self) -> Job:
        job = rows_job(self.target, self._texts)
        self._texts, self._bytes = [], 0
        return job
