"""Write the last sheet of a workbook: what was asked, of which instant, and what its texts say."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import count

from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from tasks.reports.answer import Answer, Text, Written
from tasks.reports.formats.sheet_table import Book

ABOUT = "About"

_NAME_WIDTH, _TEXT_WIDTH = 20, 90

Pairs = Iterable[tuple[str, str | None]]


def write_about(
    book: Book, answer: Answer, written: Sequence[Written], prose: Sequence[Text]
) -> None:
    """Write the sheet; its name is one that :class:`Book` has kept for it."""
    page = _Page(book, book.reserved_sheet(ABOUT))
    request, instant = answer.request, answer.instant
    page.title(request.report.header.title, request.report.header.description)
    page.moment("As of", instant.taken_at)
    page.pairs([("Report", request.report.name), ("Snapshot", instant.snapshot)])
    page.block("Parameters", request.question.params.items())
    page.block("Tables", ((one.name, f"{one.rows:,} rows") for one in written))
    if book.cells.cut_texts:
        words = "longer than a cell; each ends with the number of its characters"
        page.block("Cut texts", [(f"{book.cells.cut_texts:,}", words)])
    for one in prose:
        paragraphs = one.text.replace("\r\n", "\n").split("\n\n")
        page.block(one.name, (("", part.strip()) for part in paragraphs if part.strip()))


class _Page:
    """A sheet of names and their texts, row by row."""

    def __init__(self, book: Book, sheet: Worksheet) -> None:
        self._book = book
        self._sheet = sheet
        self._row = count()
        sheet.set_column(0, 0, _NAME_WIDTH)
        sheet.set_column(1, 1, _TEXT_WIDTH)

    def title(self, title: str, description: str) -> None:
        """Write the heading of the workbook."""
        self._text(next(self._row), 0, title, self._book.looks.title)
        if description:
            self._text(next(self._row), 0, description, self._book.looks.quiet)
        next(self._row)

    def moment(self, name: str, moment: datetime) -> None:
        """Write an instant as a time that can be computed with."""
        at = next(self._row)
        self._text(at, 0, name, self._book.looks.prose)
        self._book.cells.moment(self._sheet, at, 1, moment)

    def block(self, name: str, pairs: Pairs) -> None:
        """Write pairs below a heading of their own, if there are any."""
        pairs = list(pairs)
        if pairs:
            next(self._row)
            self._text(next(self._row), 0, name, self._book.looks.head)
            self.pairs(pairs)

    def pairs(self, pairs: Pairs) -> None:
        """Write a row for each name and its text; None is NULL."""
        looks = self._book.looks
        for name, text in pairs:
            at = next(self._row)
            self._text(at, 0, name, looks.prose)
            self._text(
                at, 1, "null" if text is None else text, looks.prose if text else looks.quiet
            )

    def _text(self, row: int, place: int, text: str, format_: Format) -> None:
        self._book.cells.text(self._sheet, row, place, text, format_)
