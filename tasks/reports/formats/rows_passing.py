"""Count rows of text on their way to a file, so that somebody can be told of them."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_BUFFER_BYTES = 1 << 20
_LINE_END = b"\n"


@contextmanager
def told(
    file: io.BufferedIOBase,
    tell: Callable[[int], None],
    *,
    head_rows: int = 0,
    quote: bytes | None = None,
) -> Iterator[io.BufferedIOBase]:
    """Yield a buffer for many small writes; each time it is full it is passed on, and told of.

    The number is that of line ends, without those of the head, and those between quotes.
    """
    # Written in C: what is called for each row must cost next to nothing.
    buffer = io.BufferedWriter(_Passage(file, tell, -head_rows, quote), _BUFFER_BYTES)
    yield buffer
    buffer.flush()


class _Passage(io.RawIOBase):
    def __init__(
        self,
        file: io.BufferedIOBase,
        tell: Callable[[int], None],
        rows: int,
        quote: bytes | None,
    ) -> None:
        self._file = file
        self._tell = tell
        self._rows = rows
        self._quote = quote
        self._is_quoted = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        passing = bytes(data)
        self._file.write(passing)
        self._rows += self._line_ends(passing)
        self._tell(max(0, self._rows))
        return len(passing)

    def _line_ends(self, text: bytes) -> int:
        if self._quote is None or self._quote not in text:
            return 0 if self._is_quoted else text.count(_LINE_END)
        # Outside of quotes and inside by turns; a doubled quote is an empty turn.
        parts = text.split(self._quote)
        outside = parts[self._is_quoted :: 2]
        self._is_quoted ^= len(parts) % 2 == 0
        return sum(part.count(_LINE_END) for part in outside)
