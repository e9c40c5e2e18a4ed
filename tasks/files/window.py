"""Keep in sight what was read of a text and not cut off yet."""

from collections.abc import Iterator

from tasks.files.source import Source


class Window:
    """The part of a text that is in memory, and its place in the whole.

    ``end_is_seen`` tells that nothing comes after ``data``.
    """

    def __init__(self, source: Source, blocks: Iterator[bytes]) -> None:
        self._source = source
        self._blocks = blocks
        self.data = b""
        self.offset = 0
        self.end_is_seen = False

    def grow(self, size: int) -> None:
        """Read until ``data`` has that size, or more, or all that is left."""
        parts, length = [self.data], len(self.data)
        try:
            while length < size and not self.end_is_seen:
                length += self._read_into(parts)
        finally:
            # Kept if reading fails, too: it tells in which line.
            self.data = b"".join(parts)

    def drop(self, size: int) -> bytes:
        """Take the first bytes out and return them."""
        taken, self.data = self.data[:size], self.data[size:]
        self.offset += size
        return taken

    def skip_to(self, offset: int, read_bytes: int) -> None:
        """Read on to an offset, and until so much of the file as it is stored was read."""
        while self.offset + len(self.data) < offset and not self.end_is_seen:
            self.drop(len(self.data))
            self.grow(1)
        self.drop(max(0, offset - self.offset))
        while self._source.read_bytes < read_bytes and not self.end_is_seen:
            self.grow(len(self.data) + 1)

    def _read_into(self, parts: list[bytes]) -> int:
        block = next(self._blocks, None)
        if block is None:
            self.end_is_seen = True
            return 0
        parts.append(block)
        return len(block)
