"""Take CSV apart, record by record and field by field, as PostgreSQL's COPY does."""

import re
from collections.abc import Iterator, Sequence

from tasks.files.chunk import Chunk, Dialect, Record
from tasks.files.cut_csv import quoted_body

_BAD_COPY_FORMAT = "22P04"
_BAD_CHARACTER = "22021"
_RETURN = "\r"


class CsvRecords:
    """Reads the records of one dialect."""

    def __init__(self, dialect: Dialect, newline: bytes) -> None:
        self._dialect = dialect
        self._newline = newline
        quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter)
        escape, end = re.escape(dialect.escape), re.escape(newline.decode())
        quoted = f"{quote}{quoted_body(dialect.quote, dialect.escape)}{quote}"
        self._record = re.compile(f"(?:[^{quote}{end}]++|{quoted})*+{end}?+".encode(), re.DOTALL)
        self._field = re.compile(f"((?:[^{quote}{delimiter}]++|{quoted})*+)(?:{delimiter}|\\Z)")
        self._quoted = re.compile(quoted)
        self._escaped = re.compile(f"{escape}([{escape}{quote}])")

    def of(self, chunk: Chunk, columns: Sequence[str]) -> Iterator[Record]:
        """Yield the records of a chunk with their numbers and lines."""
        line = chunk.first_line
        for number, raw in enumerate(self._split(chunk.data), chunk.first_record):
            yield self._read(number, line, raw, columns)
            line += raw.count(self._newline)

    def fields(self, text: str) -> list[str | None]:
        """Return the fields of a record without its line end; an unquoted NULL marker is None."""
        if self._dialect.quote not in text:
            null = self._dialect.null
            return [None if one == null else one for one in text.split(self._dialect.delimiter)]
        values, place = [], 0
        # A field ends before a delimiter or at the end; only a delimiter begins another one.
        while found := self._field.match(text, place):
            values.append(self._value(found[1]))
            place = found.end()
            if found.end(1) == place:
                break
        return values

    def without_end(self, text: str) -> str:
        """Return a record without its line end."""
        line_end = self._newline.decode()
        if not text.endswith(line_end):
            return text
        text = text.removesuffix(line_end)
        return text.removesuffix("\r") if line_end == "\n" else text

    def _split(self, data: bytes) -> Iterator[bytes]:
        if self._dialect.quote.encode() in data:
            yield from (found[0] for found in self._record.finditer(data) if found[0])
            return
        *lines, last = data.split(self._newline)
        yield from (line + self._newline for line in lines)
        if last:
            yield last

    def _value(self, raw: str) -> str | None:
        if self._dialect.quote not in raw:
            return None if raw == self._dialect.null else raw
        return self._quoted.sub(self._unquoted, raw)

    def _unquoted(self, found: re.Match[str]) -> str:
        return self._escaped.sub(r"\1", found[0][1:-1])

    def _read(self, number: int, line: int, raw: bytes, columns: Sequence[str]) -> Record:
        try:
            text = self.without_end(raw.decode())
        except UnicodeDecodeError as error:
            return self._bad_character(number, line, raw, raw[error.start : error.end])
        if "\0" in text:
            return self._bad_character(number, line, raw, b"\0")
        values = self.fields(text)
        words = self._bare_end(text) or _raggedness(len(values), columns)
        if words:
            return Record(number, line, text, None, words, _BAD_COPY_FORMAT)
        return Record(number, line, text, dict(zip(columns, values, strict=True)))

    def _bare_end(self, text: str) -> str | None:
        """Say which other line end stands outside quotes, where COPY wants one kind only."""
        other = "\r" if self._newline == b"\n" else "\n"
        if other not in text or other not in self._quoted.sub("", text):
            return None
        return f"unquoted {'carriage return' if other == _RETURN else 'newline'} found in data"

    def _bad_character(self, number: int, line: int, raw: bytes, bad: bytes) -> Record:
        shown = " ".join(f"0x{byte:02x}" for byte in bad)
        text = self.without_end(raw.decode(errors="backslashreplace")).replace("\0", "\\x00")
        words = f'invalid byte sequence for encoding "UTF8": {shown}'
        return Record(number, line, text, None, words, _BAD_CHARACTER)


def _raggedness(fields: int, columns: Sequence[str]) -> str | None:
    """Say in PostgreSQL's words why so many fields do not fit."""
    if fields > len(columns):
        return "extra data after last expected column"
    if fields < len(columns):
        return f'missing data for column "{columns[fields]}"'
    return None
