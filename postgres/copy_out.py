"""Run COPY … TO STDOUT: into a file, or in pieces that a thread fetches ahead."""

import io
import threading
from collections.abc import Generator
from contextlib import suppress
from queue import Full, Queue
from typing import Any

import psycopg2
from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals

#: How often the thread looks whether anybody still wants what it has fetched.
_LOOK_SECONDS = 0.2
_QUOTE, _LINE_END = b'"', b"\n"


def copy_out(cursor: Cursor, copy: sql.Composed, file: io.BufferedIOBase) -> int:
    """Write all that a COPY sends, and return the number of its rows.

    If the file raises, the server stops as well. Each row is a call of ``file.write``:
    a buffer of the standard library's, written in C, makes that cheap.
    """
    try:
        with refusals(Phase.READ):
            cursor.copy_expert(copy, file)
    except Refused:
        raise
    except BaseException:
        _cancel(cursor)
        raise
    return cursor.rowcount


def csv_pieces(
    cursor: Cursor, copy: sql.Composed, piece_bytes: int
) -> Generator[bytes, None, None]:
    """Yield what a COPY in CSV sends, whole records, about so many bytes at a time.

    A thread fetches while the last piece is used; three pieces are in memory at most,
    or one record that is larger. The cursor must not be used meanwhile. Close what
    this returns: if that is before the end, the server stops.
    """
    fetched = _Fetched()
    thread = threading.Thread(
        target=fetched.run, args=(cursor, copy, piece_bytes), name="copy-out", daemon=True
    )
    thread.start()
    try:
        while (piece := fetched.pieces.get()) is not None:
            yield piece
    finally:
        fetched.is_closed.set()
        if not fetched.is_over:
            _cancel(cursor)
        thread.join()
    if fetched.error is not None:
        raise fetched.error


class _Abandoned(Exception):
    """Nobody wants the rest."""


class _Fetched(io.RawIOBase):
    """Takes what a buffer writes, and offers it in whole records."""

    def __init__(self) -> None:
        #: None is the end, or an error.
        self.pieces: Queue[bytes | None] = Queue(maxsize=1)
        self.is_closed = threading.Event()
        self.is_over = False
        self.error: BaseException | None = None
        self._begun = b""

    def run(self, cursor: Cursor, copy: sql.Composed, piece_bytes: int) -> None:
        """Fetch everything; what is raised is kept for who takes the pieces."""
        try:
            buffer = io.BufferedWriter(self, piece_bytes)
            with refusals(Phase.READ):
                cursor.copy_expert(copy, buffer)
            buffer.flush()
        except BaseException as raised:  # noqa: BLE001 - it is raised where the pieces are used
            self.error = raised
        self.is_over = True
        with suppress(_Abandoned):
            self._offer(None)

    def writable(self) -> bool:
        """Take what is written."""
        return True

    def write(self, data: Any) -> int:
        """Offer all that was written since the last whole record."""
        # PostgreSQL sends, and the buffer passes on, whole records. Nobody promises the
        # latter, so it is looked at: no quote is open at the end of a record.
        self._begun = piece = self._begun + bytes(data)
        if piece.endswith(_LINE_END) and piece.count(_QUOTE) % 2 == 0:
            self._begun = b""
            self._offer(piece)
        return len(data)

    def _offer(self, piece: bytes | None) -> None:
        while not self.is_closed.is_set():
            try:
                self.pieces.put(piece, timeout=_LOOK_SECONDS)
            except Full:
                continue
            return
        raise _Abandoned


def _cancel(cursor: Cursor) -> None:
    """Have the server end the statement; otherwise all its rows would still be read."""
    with suppress(psycopg2.Error):
        cursor.connection.cancel()
