"""Answer a report in one of its formats, from a snapshot into a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from io import BufferedIOBase
from types import MappingProxyType

from postgres import Cursor
from postgres.parameters import Value
from postgres.report_run import Question
from postgres.snapshot import Answer, Instant, copy_out, read_rows
from tasks.render import MAX_TABLE_ROWS, page
from tasks.report_catalog import Chart, DeclaredReport, Format


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request: which report, with which values, in which format."""

    report: DeclaredReport
    values: Mapping[str, Value]
    format: Format

    @property
    def question(self) -> Question:
        """Say what was asked in words that can be stored and compared."""
        params = {name: value.text for name, value in self.values.items()}
        return Question(self.report.name, params, self.format.value)


#: Writes the answer of a request and returns how many rows it has.
Writer = Callable[[Request, Instant, Cursor, BufferedIOBase], int]


def write_csv(request: Request, _instant: Instant, reader: Cursor, file: BufferedIOBase) -> int:
    """Write every row, as PostgreSQL prints it, with a header."""
    return copy_out(reader, request.report.query, request.values, file)


def write_html(request: Request, instant: Instant, reader: Cursor, file: BufferedIOBase) -> int:
    """Write a page with the chart and the first rows."""
    header = request.report.header
    answer = read_rows(reader, request.report.query, request.values, MAX_TABLE_ROWS)
    svg = _draw(header.chart, answer) if header.chart and answer.rows else None
    file.write(page(header, request.question.params, instant, answer, svg).encode())
    return answer.total_rows


def _draw(chart: Chart, answer: Answer) -> str:
    # Loaded with the first chart: what draws it takes as long to start as all the rest of
    # a worker, and most processes never draw one.
    svg: str = import_module("tasks.chart").draw(chart, answer)
    return svg


WRITERS: Mapping[Format, Writer] = MappingProxyType(
    {Format.HTML: write_html, Format.CSV: write_csv}
)
