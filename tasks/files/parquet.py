"""Read Parquet: record batches, written as CSV, or as JSON lines where values are nested.

Imported when a Parquet file comes, not before: pyarrow takes the memory of many chunks.
"""

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO, cast

import msgspec
import pyarrow as pa
from pyarrow import csv, parquet

from tasks.files.chunk import Chunk, Dialect, Record, Shape
from tasks.files.csv_records import CsvRecords
from tasks.files.errors import BadFile
from tasks.files.header import header_columns
from tasks.files.json_lines import json_records
from tasks.files.options import Compression, FileOptions
from tasks.files.parquet_columns import as_csv_column, as_json_column, is_nested
from tasks.files.position import Position
from tasks.files.source import Source

_BLOCK_BYTES = 1 << 20
#: A batch is in memory several times: as pages, as columns, as text.
_BATCHES_OF_A_CHUNK = 2
_MOST_BATCH_ROWS = 1 << 15
#: Nested values become objects of Python's, many for each row.
_MOST_NESTED_BATCH_ROWS = 1 << 12

# pyarrow's own pool keeps for itself what was read once.
pa.set_memory_pool(pa.system_memory_pool())


class ParquetRows:
    """A Parquet file; its position counts rows, its hash is that of the whole file.

    It cannot be read from the front alone, so all of it is read once before
    the first chunk; from elsewhere than the inbox, into a temporary file.
    """

    dialect = Dialect()

    def __init__(self, source: Source, options: FileOptions, after: Position) -> None:
        if options.compression not in {Compression.AUTO, Compression.NONE}:
            raise BadFile(f"{source.url}: Parquet is packed inside: leave compression out")
        self._source = source
        self._options = options
        self._after = after
        source.expect(after)
        with self._refusals():
            self._file = parquet.ParquetFile(
                _read_whole(source), buffer_size=_BLOCK_BYTES, pre_buffer=False
            )
        schema = self._file.schema_arrow
        self.shape = Shape.JSON_LINES if any(map(is_nested, schema.types)) else Shape.CSV
        try:
            self._names = header_columns(schema.names, options.columns, options.rename)
        except BadFile as error:
            raise BadFile(f"{source.url}: {error}") from error
        self.columns = self._names if self.shape is Shape.CSV else None
        self._records = CsvRecords(self.dialect, b"\n")

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows after the position, a batch at a time."""
        rows, unpacked_bytes = self._after.records, 0
        for batch in self._batches():
            unpacked_bytes += batch.nbytes
            self._refuse_beyond_limit(unpacked_bytes, rows)
            with self._refusals(rows):
                data = self._write(batch)
            rows += batch.num_rows
            source = self._source
            end = Position(rows, rows, rows, source.read_bytes, source.sha256)
            first = rows - batch.num_rows + 1
            done_bytes = source.read_bytes * rows // self._file.metadata.num_rows
            is_marked = b"\\." in data
            yield Chunk(
                data, batch.num_rows, first, first, end, done_bytes, has_end_marker=is_marked
            )

    def records(self, chunk: Chunk, columns: Sequence[str] | None = None) -> Iterator[Record]:  # noqa: ARG002 - the file names them
        """Take a chunk apart; a record's line is its number."""
        if self.shape is Shape.JSON_LINES:
            return json_records(chunk)
        found = self._records.of(chunk, self._names)
        return (replace(record, line=record.number) for record in found)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """Yield what follows the position; row groups before it are not even opened."""
        metadata = self._file.metadata
        to_skip = self._after.records
        groups = list(range(metadata.num_row_groups))
        while groups and metadata.row_group(groups[0]).num_rows <= to_skip:
            to_skip -= metadata.row_group(groups.pop(0)).num_rows
        if not groups:
            return
        # Threads would each keep memory of their own, and there is one for reading already.
        batches = self._file.iter_batches(self._batch_rows(), row_groups=groups, use_threads=False)
        while True:
            with self._refusals(self._after.records):
                batch = next(batches, None)
            if batch is None:
                return
            rest = batch.slice(min(to_skip, batch.num_rows))
            to_skip -= batch.num_rows - rest.num_rows
            if rest.num_rows:
                yield rest

    def _batch_rows(self) -> int:
        metadata = self._file.metadata
        total = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
        row_bytes = max(1, total // max(1, metadata.num_rows))
        fitting = max(1, self._options.chunk_bytes // _BATCHES_OF_A_CHUNK // row_bytes)
        most = _MOST_BATCH_ROWS if self.shape is Shape.CSV else _MOST_NESTED_BATCH_ROWS
        return int(min(fitting, self._options.chunk_rows, most))

    def _write(self, batch: pa.RecordBatch) -> bytes:
        if self.shape is Shape.CSV:
            flat = pa.record_batch([as_csv_column(one) for one in batch.columns], self._names)
            written = io.BytesIO()
            csv.write_csv(flat, written, csv.WriteOptions(include_header=False))
            return written.getvalue()
        columns = [as_json_column(one) for one in batch.columns]
        rows = (dict(zip(self._names, row, strict=True)) for row in zip(*columns, strict=True))
        return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)

    def _refuse_beyond_limit(self, unpacked_bytes: int, rows: int) -> None:
        limit = self._source.max_bytes
        if unpacked_bytes > limit:
            raise BadFile(
                f"{self._source.url}: after row {rows}: the file is larger than the limit of "
                f"{limit} bytes, unpacked: raise CELERIAC_FILE_MAX_BYTES or max_bytes"
            )

    @contextmanager
    def _refusals(self, rows: int | None = None) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            place = "" if rows is None else f"after row {rows}: "
            raise BadFile(f"{self._source.url}: {place}no sound Parquet: {error}") from error


def _read_whole(source: Source) -> BinaryIO:
    """Read a file to its end, for its hash, and return it as one that can be read anywhere."""
    if source.is_local:
        while source.read(_BLOCK_BYTES):
            pass
        return source.file
    copy = tempfile.TemporaryFile(prefix="celeriac-")  # noqa: SIM115 - closed with its last reader
    while block := source.read(_BLOCK_BYTES):
        if source.read_bytes > source.max_bytes:
            copy.close()
            raise BadFile(f"{source.url}: larger than the limit of {source.max_bytes} bytes")
        copy.write(block)
    return cast(BinaryIO, copy)
