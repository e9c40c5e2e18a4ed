"""Write a report as a workbook: a sheet for each table and chart, and one that tells of them."""

import io
from io import BufferedIOBase

from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError

from tasks.reports.answer import Answer, Picture, Rows, Text, Written
from tasks.reports.formats.scratch import scratch_folder
from tasks.reports.formats.sheet_about import ABOUT, write_about
from tasks.reports.formats.sheet_table import Book, Table
from tasks.reports.formats.theme import png_of

_BATCH_ROWS = 2_000
#: Pictures have so many dots for each that is shown.
_DENSITY = 2


def write(answer: Answer, file: BufferedIOBase) -> list[Written]:
    """Write every row of every section; few of them are in memory, others in a scratch folder."""
    with scratch_folder() as scratch:
        options = {"constant_memory": True, "tmpdir": str(scratch), "use_zip64": True}
        workbook = Workbook(file, options)
        written = _write_sheets(Book(workbook, ABOUT), answer)
        _close(workbook)
    return written


def _write_sheets(book: Book, answer: Answer) -> list[Written]:
    written: list[Written] = []
    prose: list[Text] = []
    for section in answer.sections:
        if isinstance(section, Rows):
            written.append(_write_rows(book, section, answer, sum(one.rows for one in written)))
        elif isinstance(section, Picture):
            _write_picture(book, section)
        else:
            prose.append(section)
    write_about(book, answer, written, prose)
    return written


def _write_rows(book: Book, section: Rows, answer: Answer, rows_before: int) -> Written:
    columns = section.source.columns
    table = Table(book, section.name, columns)
    for rows in section.source.batches(_BATCH_ROWS):
        table.add(rows)
        answer.tell(rows_before + table.rows)
    table.end(section.chart)
    return Written(section.name, table.rows, columns)


def _write_picture(book: Book, section: Picture) -> None:
    image = {
        "image_data": io.BytesIO(png_of(section.svg, _DENSITY)),
        "description": section.words,
        "x_scale": 1 / _DENSITY,
        "y_scale": 1 / _DENSITY,
    }
    book.new_sheet(section.name).insert_image(0, 0, "chart.png", image)


def _close(workbook: Workbook) -> None:
    """Put the sheets together into the file."""
    try:
        workbook.close()
    except FileCreateError as error:
        # The library's name for trouble of the disk hides which trouble it was.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
