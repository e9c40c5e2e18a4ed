"""Write a report as CSV: the rows of its one table, as PostgreSQL prints them."""

from io import BufferedIOBase

from tasks.reports.answer import Answer, Written
from tasks.reports.formats.one_table import one_table
from tasks.reports.formats.pack import packed
from tasks.reports.formats.rows_passing import told


def write(answer: Answer, file: BufferedIOBase) -> list[Written]:
    """Write every row, with a header."""
    written = []
    for section in one_table(answer):
        with (
            packed(answer.request.format, file) as target,
            told(target, answer.tell, head_rows=1, quote=b'"') as rows_in,
        ):
            rows = section.source.copy_csv(rows_in)
        answer.tell(rows)
        written.append(Written(section.name, rows, section.source.columns))
    return written
