"""Write a report as Parquet: the rows of its one table, with their types, in groups of rows.

Loaded late: Arrow takes as long to load as all the rest of a worker.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from io import BufferedIOBase

import pyarrow as pa
from pyarrow import parquet

from tasks.reports.answer import Answer, Rows, Unwritable, Written
from tasks.reports.formats.one_table import one_table, refuse_equal_names
from tasks.reports.formats.parse_csv import CsvParser

#: Of CSV, parsed at once.
_PIECE_BYTES = 1 << 20
#: Of Arrow's memory in a group of rows, which a reader takes at once; only a larger record is more.
_GROUP_BYTES = 8 << 20
_ZSTD_LEVEL = 3


def write(answer: Answer, file: BufferedIOBase) -> list[Written]:
    """Write every row; the names of its columns must differ."""
    written = []
    for section in one_table(answer):
        refuse_equal_names(section)
        columns = section.source.columns
        if not columns:
            raise Unwritable("parquet needs columns, the query gives none: ask for csv")
        rows = _write(answer, section, file)
        answer.tell(rows)
        written.append(Written(section.name, rows, columns))
    return written


def _write(answer: Answer, section: Rows, file: BufferedIOBase) -> int:
    parser = CsvParser(section.source.columns)
    schema = parser.schema.with_metadata(_metadata(answer))
    with parquet.ParquetWriter(
        file, schema, compression="zstd", compression_level=_ZSTD_LEVEL
    ) as writer:
        rows, group = 0, _Group()
        for table in _tables(section, parser):
            group.add(table)
            if group.bytes >= _GROUP_BYTES:
                group.write(writer)
                group = _Group()
            rows += table.num_rows
            answer.tell(rows)
        group.write(writer)
    return rows


class _Group:
    """Rows that are written together."""

    def __init__(self) -> None:
        self.bytes = 0
        self._tables: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        self._tables.append(table)
        self.bytes += table.nbytes

    def write(self, writer: parquet.ParquetWriter) -> None:
        if self._tables:
            table = pa.concat_tables(self._tables)
            writer.write_table(table, row_group_size=table.num_rows)


def _tables(section: Rows, parser: CsvParser) -> Iterator[pa.Table]:
    with closing(section.source.csv_pieces(_PIECE_BYTES)) as pieces:
        for piece in pieces:
            yield parser.table(piece)


def _metadata(answer: Answer) -> dict[str, str]:
    """Name what the file answers, for who finds it without its manifest."""
    question, instant = answer.request.question, answer.instant
    return {
        "celeriac:report": question.report,
        "celeriac:params": json.dumps(dict(question.params)),
        "celeriac:snapshot": instant.snapshot,
        "celeriac:taken_at": instant.taken_at.isoformat(),
    }
