"""What a report declares of itself, in TOML."""

import math
import re
from enum import StrEnum
from typing import Literal

import msgspec

from tasks.reports.declared.parameter import Parameter
from tasks.reports.declared.schedule import Schedule, schedule_of

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


class Format(StrEnum):
    """The formats in which a report can be written, by the ends of their files' names."""

    HTML = "html"
    CSV = "csv"
    CSV_GZIP = "csv.gz"
    CSV_ZSTD = "csv.zst"
    JSON_LINES = "jsonl"
    JSON_LINES_GZIP = "jsonl.gz"
    JSON_LINES_ZSTD = "jsonl.zst"
    PARQUET = "parquet"
    XLSX = "xlsx"

    @property
    def holds_sections(self) -> bool:
        """Whether one file of it can hold the rows of several statements."""
        return self in {Format.HTML, Format.XLSX}


#: What a chart may be.
CHARTS = ("bar", "line", "area", "point")


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The chart that a report draws of a statement's rows: two of its columns, or three."""

    kind: Literal["bar", "line", "area", "point"]
    x: str
    y: str
    title: str = ""
    #: Of which statement, where there are several; the first one by default.
    statement: str | None = None
    #: The column whose values part the rows into series, each of its colour.
    series: str | None = None


class Unanswerable(ValueError):
    """An answer that does not fit what its report declares; no file is made of it."""


class BadChart(Unanswerable):
    """A chart that the answer of its report cannot fill."""


class TooManyRows(Unanswerable):
    """A statement gave more rows than its report allows."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a report declares of itself; spans of time are seconds, or texts like "10 min"."""

    title: str
    description: str = ""
    format: Format = Format.HTML
    params: dict[str, Parameter] = {}
    chart: Chart | None = None
    #: By statement, where there are several.
    charts: dict[str, Chart] = {}
    #: How old an equal answer may be for jobs that do not say.
    fresh_for: float | str | None = None
    #: How long its queries may take together, if not as long as the setting allows.
    timeout: float | str | None = None
    #: The most rows that a statement may give; with one more there is no file at all.
    max_rows: int | None = None
    #: When it runs by itself: a cron expression, or a table that says more.
    schedule: str | Schedule | None = None
    #: Of a schedule that is a cron expression.
    timezone: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no report can mean."""
        schedule_of(self.schedule, self.timezone)
        if self.fresh_seconds is not None and self.fresh_seconds < 0:
            raise ValueError(f"fresh_for must be 0 seconds or more, got {self.fresh_for!r}")
        if self.timeout_seconds is not None and self.timeout_seconds <= 0:
            raise ValueError(f"timeout must be more than 0 seconds, got {self.timeout!r}")
        if self.max_rows is not None and self.max_rows < 1:
            raise ValueError(f"max_rows must be 1 or more, got {self.max_rows}")

    @property
    def scheduled(self) -> Schedule | None:
        """When it runs by itself, if it does."""
        return schedule_of(self.schedule, self.timezone)

    @property
    def fresh_seconds(self) -> float | None:
        """How old an equal answer may be for jobs that do not say; None is no age at all."""
        return None if self.fresh_for is None else _seconds("fresh_for", self.fresh_for)

    @property
    def timeout_seconds(self) -> float | None:
        """How long its queries may take together; None is as long as the setting allows."""
        return None if self.timeout is None else _seconds("timeout", self.timeout)


def _seconds(field: str, given: float | str) -> float:
    if isinstance(given, str):
        match = _SPAN.fullmatch(given.strip())
        if match is None:
            raise ValueError(f'{field} must be seconds or a text like "10 min", got {given!r}')
        return float(match[1]) * _SECONDS[match[2]]
    if not math.isfinite(given):
        raise ValueError(f"{field} must be finite, got {given!r}")
    return given
