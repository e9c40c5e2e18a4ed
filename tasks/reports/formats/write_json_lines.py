"""Write a report as JSON lines: an object for each row, as PostgreSQL makes JSON of its values."""

from io import BufferedIOBase

from tasks.reports.answer import Answer, Written
from tasks.reports.formats.one_table import one_table, refuse_equal_names
from tasks.reports.formats.pack import packed
from tasks.reports.formats.rows_passing import told


def write(answer: Answer, file: BufferedIOBase) -> list[Written]:
    """Write every row as a line; the names of its columns must differ."""
    written = []
    for section in one_table(answer):
        refuse_equal_names(section)
        with (
            packed(answer.request.format, file) as target,
            told(target, answer.tell) as rows_in,
        ):
            rows = section.source.copy_json_lines(rows_in)
        answer.tell(rows)
        written.append(Written(section.name, rows, section.source.columns))
    return written
