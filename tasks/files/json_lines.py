"""Read JSON lines: one object a line."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import msgspec

from tasks.files.chunk import Chunk, Dialect, Record, Shape
from tasks.files.cut import Cut, end_of_line
from tasks.files.errors import BadFile
from tasks.files.options import FileOptions
from tasks.files.position import Position
from tasks.files.source import Source
from tasks.files.text_chunks import TextChunks

_INVALID_TEXT = "22P02"
_BAD_CHARACTER = "22021"
_EMPTY = (b"", b"\r")


class LineCuts:
    """Cuts at line feeds: JSON has none inside a value."""

    newline = b"\n"

    def cut(self, data: bytes) -> Cut:
        """Return the extent of all whole lines; empty ones are no records."""
        size = data.rfind(b"\n") + 1
        lines = data.count(b"\n", 0, size)
        return Cut(size, lines - _empty_lines(data[:size]), lines)

    def first(self, data: bytes, records: int) -> Cut:
        """Return the extent of so many records, or of all if there are fewer."""
        whole = self.cut(data)
        if records >= whole.records:
            return whole
        if whole.records == whole.lines:
            return Cut(end_of_line(data, b"\n", records), records, records)
        found = accumulate(line not in _EMPTY for line in data.split(b"\n"))
        lines = next(number for number, count in enumerate(found, 1) if count == records)
        return Cut(end_of_line(data, b"\n", lines), records, lines)

    def rest(self, data: bytes) -> Cut:
        """Return the extent of all records when nothing follows; the last needs no line end."""
        cut = self.cut(data)
        return Cut(len(data), cut.records + (data[cut.size :] not in _EMPTY), cut.lines)


class JsonLinesFile:
    """A file of JSON lines."""

    shape = Shape.JSON_LINES
    dialect = Dialect()
    columns: tuple[str, ...] | None = None

    def __init__(self, source: Source, options: FileOptions, after: Position) -> None:
        if options.columns or options.rename:
            raise BadFile(
                f"{source.url}: columns and rename are for CSV: each JSON line names its own; "
                "rename them in the target (columns)"
            )
        self._chunks = TextChunks(source, options, after)
        self._chunks.open()

    def chunks(self) -> Iterator[Chunk]:
        """Yield what follows the position."""
        return self._chunks.read(LineCuts())

    def records(self, chunk: Chunk, columns: Sequence[str] | None = None) -> Iterator[Record]:  # noqa: ARG002 - each line names its own
        """Take a chunk apart; a line that is no object is an error of its own."""
        return json_records(chunk)


def json_records(chunk: Chunk) -> Iterator[Record]:
    """Yield the records of a chunk of JSON lines with their numbers and lines."""
    number = chunk.first_record
    for line, raw in enumerate(chunk.data.split(b"\n"), chunk.first_line):
        if raw not in _EMPTY:
            yield _record(number, line, raw.strip())
            number += 1


def _record(number: int, line: int, raw: bytes) -> Record:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        shown = " ".join(f"0x{byte:02x}" for byte in raw[error.start : error.end])
        words = f'invalid byte sequence for encoding "UTF8": {shown}'
        text = raw.decode(errors="backslashreplace")
        return Record(number, line, text.replace("\0", "\\x00"), None, words, _BAD_CHARACTER)
    try:
        row: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        shown = text.replace("\0", "\\x00")
        return Record(number, line, shown, None, f"no JSON object: {error}", _INVALID_TEXT)
    return Record(number, line, text, row)


def _empty_lines(data: bytes) -> int:
    if data.startswith((b"\n", b"\r\n")) or b"\n\n" in data or b"\n\r" in data:
        return sum(line in _EMPTY for line in data.split(b"\n")[:-1])
    return 0
