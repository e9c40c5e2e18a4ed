"""Read a file in chunks, whatever its format."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Protocol

from tasks.files.chunk import Chunk, Dialect, Record, Shape
from tasks.files.csv_file import CsvFile
from tasks.files.json_lines import JsonLinesFile
from tasks.files.options import FileOptions, Format
from tasks.files.position import START, Position
from tasks.files.source import Source


class Reader(Protocol):
    """A file, its head already read."""

    #: How the data of chunks is written; ``dialect`` matters for CSV.
    shape: Shape
    dialect: Dialect
    #: The columns of each record, in order; None for JSON lines (each names its own)
    #: and for CSV that names none (those of the table, in its order).
    columns: tuple[str, ...] | None

    def chunks(self) -> Iterator[Chunk]:
        """Yield what follows the position, once; raises BadFile, FileChanged, Unreachable.

        Before anything is yielded, what lies before the position was found unchanged.
        """

    def records(self, chunk: Chunk, columns: Sequence[str] | None = None) -> Iterator[Record]:
        """Take a chunk apart; ``columns`` names them where the file does not."""


def open_reader(source: Source, options: FileOptions, after: Position = START) -> Reader:
    """Read the head of a file; raises :class:`BadFile` if it is none of its format."""
    if options.format is Format.CSV:
        return CsvFile(source, options, after)
    if options.format is Format.JSON_LINES:
        return JsonLinesFile(source, options, after)
    # Loaded when it is needed first: it takes the memory of a whole chunk ten times over.
    module = import_module("tasks.files.parquet")
    parquet: Reader = module.ParquetRows(source, options, after)
    return parquet
