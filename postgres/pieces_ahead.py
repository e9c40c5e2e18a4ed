"""Bytes on their way from the thread that fetches them to the one that uses them."""

import threading
from collections import deque
from collections.abc import Iterator


class Abandoned(Exception):
    """Nobody wants the rest."""


class PiecesAhead:
    """Pieces that were put and not taken yet: so many bytes, or one piece that is larger."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._is_ended = False
        self._is_closed = False
        #: Guards all of the above; told of each change.
        self._changed = threading.Condition()

    @property
    def is_ended(self) -> bool:
        """Whether no piece will be put any more."""
        return self._is_ended

    def put(self, piece: bytes) -> None:
        """Add a piece as soon as there is room for it; raises :class:`Abandoned` once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._has_room(piece))
            if self._is_closed:
                raise Abandoned
            self._pieces.append(piece)
            self._bytes += len(piece)
            self._changed.notify_all()

    def end(self) -> None:
        """Say that this was all."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    def taken(self) -> Iterator[bytes]:
        """Yield each piece as soon as it is there, until the end."""
        while (piece := self._next()) is not None:
            yield piece

    def close(self) -> None:
        """Want nothing any more; whoever waits to put a piece hears of it."""
        with self._changed:
            self._is_closed = True
            self._pieces.clear()
            self._changed.notify_all()

    def _has_room(self, piece: bytes) -> bool:
        return not self._pieces or self._bytes + len(piece) <= self._most_bytes

    def _next(self) -> bytes | None:
        with self._changed:
            # The other thread ends it in any case, also when it fails.
            self._changed.wait_for(lambda: self._pieces or self._is_ended)
            if not self._pieces:
                return None
            piece = self._pieces.popleft()
            self._bytes -= len(piece)
            self._changed.notify_all()
            return piece
