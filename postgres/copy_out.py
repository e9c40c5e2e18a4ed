"""Run COPY … TO STDOUT: into a file, or in pieces that a thread fetches ahead."""

import io
import threading
from collections.abc import Callable, Generator

from psycopg2 import sql

from postgres import Cursor
from postgres.errors import Phase, Refused, refusals
from postgres.interrupt import interrupt
from postgres.pieces_ahead import Abandoned, PiecesAhead
from postgres.quiet_copy import quiet_copy

#: So much is fetched while a piece is used: what uses them may stop to write a group of rows.
_AHEAD_BYTES = 8 << 20


def copy_out(cursor: Cursor, copy: sql.Composed, file: io.BufferedIOBase) -> int:
    """Write all that a COPY sends, and return the number of its rows.

    If the file raises, the server stops as well. Each row is a call of ``file.write``:
    a buffer of the standard library's, written in C, makes that cheap.
    """
    try:
        with refusals(Phase.READ), quiet_copy():
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

    A thread fetches a few megabytes ahead while the last piece is used; of pieces with
    larger records one is used, one waits and one is fetched at most. The cursor must not be
    used meanwhile. Close what this returns: if that is before the end, the server stops.
    """
    fetching = _Fetching(cursor, copy, piece_bytes)
    thread = threading.Thread(target=fetching.run, name="copy-out", daemon=True)
    thread.start()
    try:
        yield from fetching.ahead.taken()
    finally:
        # Before it is closed: a thread that ends because of that leaves the server at work.
        if not fetching.ahead.is_ended:
            _cancel(cursor)
        fetching.ahead.close()
        thread.join()
    if fetching.error is not None:
        raise fetching.error


class _Fetching:
    """One COPY, run by a thread of its own."""

    def __init__(self, cursor: Cursor, copy: sql.Composed, piece_bytes: int) -> None:
        self.ahead = PiecesAhead(_AHEAD_BYTES)
        self.error: BaseException | None = None
        self._cursor = cursor
        self._copy = copy
        self._piece_bytes = piece_bytes
        self._piece = io.BytesIO()

    def run(self) -> None:
        """Fetch everything; what is raised is kept for who takes the pieces."""
        try:
            self._fetch()
        except Abandoned:
            pass
        except BaseException as raised:  # noqa: BLE001 - it is raised where the pieces are used
            self.error = raised
        self.ahead.end()

    def _fetch(self) -> None:
        gathering = self._gather()
        next(gathering)
        try:
            with refusals(Phase.READ), quiet_copy():
                self._cursor.copy_expert(self._copy, _Records(gathering.send))
        finally:
            gathering.close()
        if rest := self._piece.getvalue():
            self.ahead.put(rest)

    def _gather(self) -> Generator[None, bytes, None]:
        """Take single records and put them by the piece, but for the last."""
        while True:
            piece = self._piece = io.BytesIO()
            left_bytes = self._piece_bytes
            while left_bytes > 0:
                left_bytes -= piece.write((yield))
            # Copies nothing: nobody writes to it any more.
            self.ahead.put(piece.getvalue())


class _Records:
    """What the driver takes for a file: it calls ``write`` with each message, which is a record.

    A generator is resumed by far fewer instructions than a buffered writer needs.
    """

    __slots__ = ("write",)

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.write = write


def _cancel(cursor: Cursor) -> None:
    """Have the server end the statement; otherwise all its rows would still be read."""
    interrupt(cursor.connection)
