"""Write a report as CSV: the rows of its one section, as PostgreSQL prints them."""

from io import BufferedIOBase

from tasks.reports.answer import Answer, Rows, Written


def write(answer: Answer, file: BufferedIOBase) -> list[Written]:
    """Write every row, with a header."""
    return [
        Written(one.name, one.source.copy_csv(file), one.source.columns)
        for one in answer.sections
        if isinstance(one, Rows)
    ]
