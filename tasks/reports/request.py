"""A checked request: which report, with which values, in which format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from postgres.parameters import Value
from postgres.report_run import Question
from tasks.reports.declared.catalog import DeclaredReport, check_format
from tasks.reports.declared.header import Format
from tasks.reports.values import BadValue, shown


@dataclass(frozen=True, slots=True)
class Request:
    """What a job asks; every value has the type that its parameter declares."""

    report: DeclaredReport
    values: Mapping[str, Value]
    format: Format
    #: What was asked in words that can be stored and compared.
    question: Question = field(init=False, compare=False)

    def __post_init__(self) -> None:
        params = {name: value.text for name, value in self.values.items()}
        # Frozen, and asked for several times by each job.
        object.__setattr__(self, "question", Question(self.report.name, params, self.format.value))


def request_of(
    reports: Mapping[str, DeclaredReport],
    name: str,
    params: Mapping[str, Any],
    format_: str | None,
) -> Request:
    """Return the request in these words, or raise :class:`BadValue` at the first mistake."""
    report = reports.get(name)
    if report is None:
        known = ", ".join(reports) or "none, the catalog has no reports"
        raise BadValue(f"name must be one of {known}, got {shown(name)}")
    values = report.values(params)
    chosen = _format(format_ or report.header.format)
    check_format(report, chosen)
    return Request(report, values, chosen)


def _format(name: str) -> Format:
    try:
        return Format(name)
    except ValueError as error:
        raise BadValue(f"format must be one of {', '.join(Format)}, got {shown(name)}") from error
