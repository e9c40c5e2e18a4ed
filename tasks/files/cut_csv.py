"""Find where records of CSV end, by PostgreSQL's rules and at the speed of memory.

A quote opens or closes wherever it stands, as COPY has it. So a line's end is
a record's end if the quotes before it are even in number: nothing but quotes
and line ends has to be looked at, and of quotes side by side only whether
one is left over.
"""

import re
from itertools import accumulate

from tasks.files.chunk import Dialect
from tasks.files.cut import NOTHING, Cut, end_of_line

_FILLER = b"\0"


class CsvCuts:
    """Cuts text that begins where a record begins."""

    def __init__(self, dialect: Dialect, newline: bytes) -> None:
        #: The last byte of a line's end.
        self.newline = newline[-1:]
        self._quote = dialect.quote.encode()
        self._escape = dialect.escape.encode()
        kept = self._quote + self.newline + _FILLER
        self._others = bytes(byte for byte in range(256) if byte not in kept)
        quote, body = re.escape(dialect.quote), quoted_body(dialect.quote, dialect.escape)
        self._quoted = re.compile(f"{quote}({body})({quote}|\\Z)".encode(), re.DOTALL)

    def cut(self, data: bytes) -> Cut:
        """Return the extent of all whole records; of size 0 if there is none."""
        if self._quote not in data:
            size = data.rfind(self.newline) + 1
            lines = data.count(self.newline, 0, size)
            return Cut(size, lines, lines)
        ends = self._line_ends(data)
        records = sum(ends[::2])
        if not records:
            return NOTHING
        last = max(place for place in range(0, len(ends), 2) if ends[place])
        lines = sum(ends[: last + 1])
        return Cut(end_of_line(data, self.newline, lines), records, lines)

    def first(self, data: bytes, records: int) -> Cut:
        """Return the extent of so many records, or of all if there are fewer."""
        ends = self._line_ends(data)
        found = list(accumulate(ends[::2]))
        if found[-1] < records:
            return self.cut(data)
        place = next(place for place, count in enumerate(found) if count >= records)
        lines = records + sum(ends[1 : 2 * place : 2])
        return Cut(end_of_line(data, self.newline, lines), records, lines)

    def rest(self, data: bytes) -> Cut:
        """Return the extent of all records when nothing follows; the last needs no line end."""
        cut = self.cut(data)
        ends = self._line_ends(data[cut.size :])
        if len(ends) % 2 == 0:
            return cut
        return Cut(len(data), cut.records + 1, cut.lines + sum(ends))

    def _line_ends(self, data: bytes) -> list[int]:
        """Count line ends outside quotes, inside, outside … by turns."""
        if self._escape == self._quote or self._escape not in data:
            return self._count(self._parts(data))
        # Right if no escape stands outside quotes, where it would mean nothing.
        blanked = data.replace(self._escape * 2, _FILLER * 2)
        parts = self._parts(blanked.replace(self._escape + self._quote, _FILLER * 2))
        if any(_FILLER in part for part in parts[::2]):
            parts = self._parts(self._quoted.sub(self._without_escapes, data))
        return self._count(parts)

    def _parts(self, data: bytes) -> list[bytes]:
        marks = data.translate(None, self._others)
        return marks.replace(self._quote * 2, b"").split(self._quote)

    def _count(self, parts: list[bytes]) -> list[int]:
        return [part.count(self.newline) for part in parts]

    def _without_escapes(self, found: re.Match[bytes]) -> bytes:
        return self._quote + found[1].replace(self._quote, b"") + found[2]


def quoted_body(quote: str, escape: str) -> str:
    """Return a pattern of what may stand between two quotes."""
    q, e = re.escape(quote), re.escape(escape)
    if q == e:
        return f"(?:[^{q}]++|{q}{q})*+"
    return f"(?:[^{q}{e}]++|{e}.|{e}\\Z)*+"
