"""Cut a text into chunks of whole records, as many as fit."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from tasks.files.chunk import Chunk
from tasks.files.cut import Cut
from tasks.files.decompress import compression_of, unpacked
from tasks.files.encoding import codec_name, transcoded
from tasks.files.errors import BadFile, FileChanged
from tasks.files.options import BadEncoding, FileOptions
from tasks.files.position import Position
from tasks.files.source import Source
from tasks.files.window import Window

_END_MARKER = re.compile(rb"(?:\A|[\r\n])\\\.(?:[\r\n]|\Z)")
_LEAST_TARGET_BYTES = 1 << 14

#: What other kinds of files begin with, and what to say of them.
_SIGNS = {
    b"\x1f\x8b": 'is packed with gzip: set compression = "gzip"',
    b"\x28\xb5\x2f\xfd": 'is packed with zstd: set compression = "zstd"',
    b"PAR1": 'is a Parquet file: set the format "parquet"',
    b"PK\x03\x04": "is a ZIP archive, or a workbook: unpack it, or save it as CSV",
    b"\xff\xfe": 'is written in UTF-16: set encoding = "utf-16"',
    b"\xfe\xff": 'is written in UTF-16: set encoding = "utf-16"',
}
_MARK = b"\xef\xbb\xbf"


class Cuts(Protocol):
    """How a format ends its records."""

    newline: bytes

    def cut(self, data: bytes) -> Cut:
        """Return the extent of all whole records; of size 0 if there is none."""

    def first(self, data: bytes, records: int) -> Cut:
        """Return the extent of so many records, or of all if there are fewer."""

    def rest(self, data: bytes) -> Cut:
        """Return the extent of the records at the end of a file; short if the last is not whole."""


class TextChunks:
    """A text that is read once, from its head on."""

    def __init__(self, source: Source, options: FileOptions, after: Position) -> None:
        self._source = source
        self._options = options
        self._after = after
        source.expect(after)
        blocks = unpacked(source, compression_of(source.url, options.compression))
        self.window = Window(source, transcoded(blocks, codec_name(options.encoding)))
        self._line = 1
        self._records = 0
        self._chunk_bytes = min(options.chunk_bytes, options.max_record_bytes)
        self._target = self._chunk_bytes

    def open(self) -> None:
        """Read the first bytes; take off a mark, refuse what is another kind of file."""
        self.grow(_LEAST_TARGET_BYTES)
        for sign, words in _SIGNS.items():
            if self.window.data.startswith(sign):
                raise BadFile(f"{self._source.url}: the file {words}")
        if self.window.data.startswith(_MARK):
            self.window.drop(len(_MARK))

    def drop_head(self, size: int, newline: bytes) -> None:
        """Take the head out; it is no record."""
        self._line += self.window.drop(size).count(newline)

    def read(self, cuts: Cuts) -> Iterator[Chunk]:
        """Yield all chunks after the position."""
        self._skip()
        while True:
            self.grow(self._target)
            if not self.window.data:
                return
            cut = self._next_cut(cuts)
            if cut.records:
                yield self._chunk(cut)
            else:
                self.window.drop(cut.size)
                self._line += cut.lines

    def grow(self, size: int) -> None:
        """Read until so much can be seen; whatever is wrong with the file is told with its line."""
        try:
            self.window.grow(size)
        except FileChanged:
            raise
        except BadFile as error:
            raise self.refusal(str(error), self.window.data.count(b"\n")) from error

    def refusal(self, words: str, lines_ahead: int = 0) -> BadFile:
        """Return an error that names file and line."""
        return BadFile(f"{self._source.url}: line {self._line + lines_ahead}: {words}")

    def _skip(self) -> None:
        after = self._after
        if not after.offset:
            return
        self.window.skip_to(after.offset, after.read_bytes)
        self._line, self._records = after.lines + 1, after.records

    def _next_cut(self, cuts: Cuts) -> Cut:
        window = self.window
        data = window.data[: self._target]
        cut = cuts.cut(data)
        while not cut.size and not self._sees_all(data):
            self._refuse_beyond_limit(data)
            size = min(2 * len(data), self._options.max_record_bytes)
            # One more, to see whether anything comes after.
            self.grow(size + 1)
            data = window.data[:size]
            cut = cuts.cut(data)
        if self._sees_all(data) and cut.size < len(data):
            cut = self._last_cut(cuts, data, cut)
        if cut.records <= self._options.chunk_rows:
            # Back to the budget, by and by, after short rows or a long one.
            self._target = min(2 * self._target, self._chunk_bytes)
            return cut
        cut = cuts.first(data[: cut.size], self._options.chunk_rows)
        self._target = min(max(_LEAST_TARGET_BYTES, cut.size * 5 // 4), self._chunk_bytes)
        return cut

    def _last_cut(self, cuts: Cuts, data: bytes, before: Cut) -> Cut:
        """Take in what stands after the last line's end, or leave it for a refusal."""
        cut = cuts.rest(data)
        if cut.size == len(data) or before.size:
            return max(cut, before, key=lambda one: one.size)
        raise self.refusal(
            "a quote that was opened in this record is not closed before the end of the file: "
            "the file is cut short, or a quote is not doubled"
        )

    def _sees_all(self, data: bytes) -> bool:
        return self.window.end_is_seen and len(data) == len(self.window.data)

    def _refuse_beyond_limit(self, data: bytes) -> None:
        limit = self._options.max_record_bytes
        if len(data) >= limit:
            raise self.refusal(
                f"the record that begins here is longer than the limit of {limit} bytes: "
                "its end or the quote's is missing, or raise max_record_bytes"
            )

    def _chunk(self, cut: Cut) -> Chunk:
        line, first = self._line, self._records + 1
        data = self.window.drop(cut.size)
        is_utf8 = self._is_utf8(data)
        self._line += cut.lines
        self._records += cut.records
        end = Position(
            offset=self.window.offset,
            records=self._records,
            lines=self._line - 1,
            read_bytes=self._source.read_bytes,
            sha256=self._source.sha256,
        )
        chunk = Chunk(data, cut.records, first, line, end, self._done_bytes(), is_utf8=is_utf8)
        return replace(chunk, has_end_marker=True) if _has_end_marker(data) else chunk

    def _done_bytes(self) -> int:
        window = self.window
        seen_bytes = window.offset + len(window.data)
        return self._source.read_bytes * window.offset // max(1, seen_bytes)

    def _is_utf8(self, data: bytes) -> bool:
        try:
            return data.isascii() or bool(data.decode())
        except UnicodeDecodeError as error:
            if self._options.bad_encoding is BadEncoding.QUARANTINE:
                return False
            bad = data[error.start : error.end].hex(" ")
            raise self.refusal(
                f"the bytes {bad} are not UTF-8: set encoding to what the file is written in, or "
                'bad_encoding = "quarantine" to set such records aside',
                data.count(b"\n", 0, error.start),
            ) from error


def _has_end_marker(data: bytes) -> bool:
    # One byte is found far faster than two or a pattern, and most files have none.
    return b"\\" in data and b"\\." in data and _END_MARKER.search(data) is not None
