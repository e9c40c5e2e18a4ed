"""Say what a request gives, a section at a time, and whether that is more than it may."""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path

from postgres.limit_answer import limited
from postgres.snapshot import Query
from postgres.snapshot_cursor import SnapshotCursor
from tasks.reports.answer import Rows, Section, Written
from tasks.reports.declared.catalog import DeclaredReport
from tasks.reports.declared.header import TooManyRows
from tasks.reports.request import Request

#: What runs reports in Python: pandas takes as long to load as all the rest of a worker.
_PYTHON = "tasks.reports.in_python.python_report"


def sections(request: Request, reader: SnapshotCursor) -> Iterator[Section]:
    """Yield the sections of an answer, all from the snapshot of the reader."""
    report = request.report
    if report.is_python:
        answer: Callable[[Request, SnapshotCursor], Iterator[Section]] = import_module(
            _PYTHON
        ).sections
        yield from answer(request, reader)
        return
    for name, query, _line, chart in report.statements:
        most = report.header.max_rows
        text = query if most is None else limited(reader, query, most + 1)
        yield Rows(name, Query(reader, text, request.values), chart)


def load_python(report: DeclaredReport) -> None:
    """Run the file of a report in Python, as its first job would; raises Unanswerable."""
    load: Callable[[Path], None] = import_module(_PYTHON).load
    load(report.path)


def refuse_excess(request: Request, written: Iterable[Written]) -> None:
    """Raise :class:`TooManyRows` if a section has more rows than the report declares.

    Part of an answer must never look like the whole: there is no file then.
    """
    most = request.report.header.max_rows
    for one in written:
        if most is not None and one.rows > most:
            raise TooManyRows(
                f"{one.name} gives more than the {most:,} rows of max_rows: narrow it by its"
                " parameters, or raise max_rows"
            )
