"""Read a CSV file: its header, its chunks, and the records of a chunk that is taken apart."""

from collections.abc import Iterator, Sequence

from tasks.files.chunk import Chunk, Dialect, Record, Shape
from tasks.files.csv_records import CsvRecords
from tasks.files.cut_csv import CsvCuts
from tasks.files.errors import BadFile
from tasks.files.header import header_columns
from tasks.files.options import FileOptions
from tasks.files.position import Position
from tasks.files.source import Source
from tasks.files.text_chunks import TextChunks

_HEAD_BYTES = 1 << 16


class CsvFile:
    """A CSV file whose header was read."""

    shape = Shape.CSV

    def __init__(self, source: Source, options: FileOptions, after: Position) -> None:
        self.dialect = Dialect(
            options.delimiter, options.quote, options.escape or options.quote, options.null
        )
        self._options = options
        self._chunks = TextChunks(source, options, after)
        self._chunks.open()
        self._cuts = CsvCuts(self.dialect, self._find_newline())
        self._records = CsvRecords(self.dialect, self._cuts.newline)
        self.columns = self._read_columns()

    def chunks(self) -> Iterator[Chunk]:
        """Yield what follows the position."""
        return self._chunks.read(self._cuts)

    def records(self, chunk: Chunk, columns: Sequence[str] | None = None) -> Iterator[Record]:
        """Take a chunk apart, as COPY would."""
        names = self.columns or columns
        if names is None:
            raise ValueError("this file names no columns: pass those of its target")
        return self._records.of(chunk, names)

    def _find_newline(self) -> bytes:
        """Return what ends the first line, which is what ends all."""
        window, limit = self._chunks.window, self._options.max_record_bytes
        by_feed, by_return = CsvCuts(self.dialect, b"\n"), CsvCuts(self.dialect, b"\r")
        size = _HEAD_BYTES
        while True:
            self._chunks.grow(size)
            feed, back = by_feed.first(window.data, 1), by_return.first(window.data, 1)
            # What follows a carriage return at the end of the window is not seen yet.
            is_settled = back.size < len(window.data) or window.end_is_seen
            if back.size and is_settled and (not feed.size or back.size < feed.size - 1):
                return b"\r"
            if feed.size or window.end_is_seen:
                return b"\n"
            if size > limit:
                raise self._chunks.refusal(
                    f"the first line is longer than the limit of {limit} bytes: "
                    "its end or a quote's is missing, or raise max_record_bytes"
                )
            size = min(2 * size, limit + 1)

    def _read_columns(self) -> tuple[str, ...] | None:
        given, rename = self._options.columns, self._options.rename
        size = 0
        try:
            if self._options.header:
                names, size = self._read_header()
                return header_columns(names, given, rename)
            return header_columns(given, None, rename) if given else None
        except BadFile as error:
            raise self._chunks.refusal(str(error)) from error
        finally:
            self._chunks.drop_head(size, self._cuts.newline)

    def _read_header(self) -> tuple[Sequence[str | None], int]:
        """Return the header's names and its extent."""
        data = self._chunks.window.data
        size = self._cuts.first(data, 1).size or self._cuts.rest(data).size
        if not size:
            raise BadFile("the header is missing: the file is empty, or a quote is not closed")
        try:
            text = data[:size].decode()
        except UnicodeDecodeError as error:
            raise BadFile(
                f"the header is not UTF-8 ({error.reason}): set encoding to what it is written in"
            ) from error
        return self._records.fields(self._records.without_end(text)), size
