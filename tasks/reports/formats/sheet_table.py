"""Write rows as a table of a workbook, on as many sheets as they need."""

from collections.abc import Sequence
from itertools import chain

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from postgres.snapshot import Column
from tasks.reports.answer import TextRow, Unwritable
from tasks.reports.declared.header import Chart
from tasks.reports.formats.sheet_cells import Cells, Looks, PlainSheet
from tasks.reports.formats.sheet_chart import insert_chart
from tasks.reports.formats.sheet_names import SheetNames

#: What a sheet holds below its header; more rows go on in a second one.
MAX_SHEET_ROWS = 1_048_575

#: A frame may have more, and the library would leave them out in silence.
MAX_SHEET_COLUMNS = 16_384

_LEAST_WIDTH, _MOST_WIDTH = 6, 60
#: Room for the button of the filter.
_HEAD_WIDTH = 4


class Book:
    """A workbook in the making, and what all its sheets share."""

    def __init__(self, workbook: Workbook, *reserved_names: str) -> None:
        self.cells = Cells(workbook)
        self.looks = Looks.of(workbook)
        self._workbook = workbook
        self._names = SheetNames(*reserved_names)

    def new_sheet(self, name: str) -> Worksheet:
        """Add a sheet under this name, or one that is near to it."""
        return self._workbook.add_worksheet(self._names.new(name), PlainSheet)

    def reserved_sheet(self, name: str) -> Worksheet:
        """Add the sheet whose name was kept for it."""
        return self._workbook.add_worksheet(name, PlainSheet)

    def draw(self, sheet: Worksheet, chart: Chart, columns: Sequence[Column], rows: int) -> None:
        """Draw the chart of a sheet's rows beside them."""
        insert_chart(self._workbook, sheet, chart, columns, rows)


class Table:
    """The rows of a section; add them in order, then end it."""

    def __init__(
        self, book: Book, name: str, columns: Sequence[Column], sheet_rows: int = MAX_SHEET_ROWS
    ) -> None:
        if len(columns) > MAX_SHEET_COLUMNS:
            raise Unwritable(
                f"{name} has {len(columns):,} columns, a sheet holds {MAX_SHEET_COLUMNS:,}:"
                " ask for csv"
            )
        self.rows = 0
        self._book = book
        self._name = name
        self._columns = columns
        self._most_rows = sheet_rows
        self._put = book.cells.putters(columns)
        self._widths = [len(column.name) + _HEAD_WIDTH for column in columns]
        self._sheets = [self._begin()]

    def add(self, rows: Sequence[TextRow]) -> None:
        """Write rows below the others; where a sheet is full, another one begins."""
        if not self.rows:
            self._widths = [max(pair) for pair in zip(self._widths, _widths(rows), strict=True)]
        for row in rows:
            at = self.rows % self._most_rows
            if self.rows and not at:
                self._sheets.append(self._begin())
            self.rows += 1
            self._write(row, at + 1)

    def end(self, chart: Chart | None = None) -> None:
        """Set what depends on all rows: where filters end, how wide columns are, the chart."""
        if chart is not None:
            rows = min(self.rows, self._most_rows)
            self._book.draw(self._sheets[0], chart, self._columns, rows)
        for number, sheet in enumerate(self._sheets):
            rows = min(self.rows - number * self._most_rows, self._most_rows)
            if self._columns:
                sheet.autofilter(0, 0, rows, len(self._columns) - 1)
            for place, width in enumerate(self._widths):
                sheet.set_column(place, place, min(max(width, _LEAST_WIDTH), _MOST_WIDTH))

    def _begin(self) -> Worksheet:
        sheet = self._book.new_sheet(self._name)
        looks = self._book.looks
        for place, column in enumerate(self._columns):
            format_ = looks.number_head if column.is_number else looks.head
            sheet.write_string(0, place, column.name, format_)
        sheet.freeze_panes(1, 0)
        # On paper: as wide as a page on its side, with the header on each.
        sheet.repeat_rows(0)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        return sheet

    def _write(self, row: TextRow, at: int) -> None:
        sheet = self._sheets[-1]
        for place, text in enumerate(row):
            if text is not None:
                self._put[place](sheet, at, place, text)


def _widths(rows: Sequence[TextRow]) -> list[int]:
    """Measure the longest line of each column, as far as it may count."""
    return [
        max(
            chain.from_iterable(map(len, text[: 4 * _MOST_WIDTH].splitlines()) for text in column),
            default=0,
        )
        + 2
        for column in ([text for text in values if text] for values in zip(*rows, strict=True))
    ]
