"""A checked request: which report, with which values, in which format."""

from collections.abc import Mapping
from dataclasses import dataclass

from postgres.parameters import Value
from postgres.report_run import Question
from tasks.reports.catalog import DeclaredReport
from tasks.reports.header import Format


@dataclass(frozen=True, slots=True)
class Request:
    """What a job asks; every value has the type that its parameter declares."""

    report: DeclaredReport
    values: Mapping[str, Value]
    format: Format

    @property
    def question(self) -> Question:
        """Say what was asked in words that can be stored and compared."""
        params = {name: value.text for name, value in self.values.items()}
        return Question(self.report.name, params, self.format.value)
