"""What a report gives before it is a file: sections of rows, charts and text, all of one instant.

Formats read this and nothing else: they know neither a catalog nor a database.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Protocol

from postgres.snapshot import Column, Instant
from tasks.reports.declared.header import Chart, Unanswerable
from tasks.reports.request import Request

#: One row as PostgreSQL prints it; None is NULL.
TextRow = tuple[str | None, ...]


class Unwritable(Unanswerable):
    """Something in the answer that its format cannot hold; another format, or a cast, can."""


class Source(Protocol):
    """The rows of a section, not read yet; read them once, in the way that suits the format.

    Memory stays flat: nothing holds more than a batch. Each way returns or
    yields until the last row, unless it says otherwise.
    """

    @property
    def columns(self) -> Sequence[Column]:
        """The columns, with the types that PostgreSQL gave them."""
        ...

    def copy_csv(self, file: BufferedIOBase) -> int:
        """Write all rows as CSV with a header, NULL bare and '' quoted; return their number."""
        ...

    def csv_pieces(self, piece_bytes: int) -> Generator[bytes, None, None]:
        """Yield all rows as ``copy_csv`` has them but for the header, in pieces of whole records.

        Parquet is made of these, by the columns' types: dates and numbers are printed
        as PostgreSQL does. A piece has about so many bytes, or is one larger record.
        """
        ...

    def copy_json_lines(self, file: BufferedIOBase) -> int:
        """Write all rows as JSON objects, one a line; return their number."""
        ...

    def batches(self, batch_rows: int) -> Iterator[Sequence[TextRow]]:
        """Yield all rows, as PostgreSQL prints them, so many at a time."""
        ...

    def first(self, limit_rows: int) -> tuple[Sequence[TextRow], int]:
        """Return the first rows, and how many there are in all without fetching the others."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """A section of rows: a sheet of a workbook, a table of a page, with the chart drawn of it."""

    name: str
    source: Source
    chart: Chart | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A section of prose, paragraphs parted by empty lines; it is never markup."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A section that is a chart, as an ``<svg>`` element without scripts or references."""

    name: str
    svg: str
    words: str = ""


Section = Rows | Text | Picture


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request; its sections are read in order, one at a time."""

    request: Request
    instant: Instant
    sections: Iterable[Section]
    #: Tell how many rows are written so far; cheap to call often.
    tell: Callable[[int], None] = lambda _rows: None


@dataclass(frozen=True, slots=True)
class Written:
    """What a format wrote of one section of rows."""

    name: str
    rows: int
    columns: Sequence[Column]


#: Writes an answer into a file; returns what it wrote, a section of rows each.
Writer = Callable[[Answer, BufferedIOBase], list[Written]]
