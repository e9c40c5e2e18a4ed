"""A cursor whose statements end in time together, say for whom they run, and can be interrupted."""

import math
import re
import time
from dataclasses import dataclass
from typing import Any

from psycopg2 import extensions, sql

from postgres.errors import Phase, Refused
from postgres.interrupt import interrupt
from postgres.statements import statement
from postgres.transaction import rewind, rewinding, set_savepoint

#: SQLSTATE of a statement that was ended by a time limit or by somebody's wish.
QUERY_CANCELED = "57014"

#: The server's limit follows the time that is left, once it is off by this share.
_TOLERATED_SHARE = 0.2
_MOST_MS = 2**31 - 1
_LIMIT = "limit_statement"

#: What a note may hold: nothing that ends a comment, or means anything to the driver.
_UNSAFE = re.compile(r"[^A-Za-z0-9_.:=,+ -]")
_NOTE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms snapshots are read; None leaves a setting as the session has it."""

    lock_seconds: float | None = None
    work_mem: str | None = None
    #: A role that can only read, say; the session's own must be a member.
    role: str | None = None


class SnapshotCursor(extensions.cursor):
    """The cursor of one snapshot; of one thread at a time, but for :meth:`interrupt`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_interrupted = False
        self.terms = Terms()
        #: By query, what its answer looks like, as far as somebody asked.
        self.known_columns: dict[object, Any] = {}
        self._ends_at = math.inf
        self._seconds = math.inf
        self._server_ms = _MOST_MS
        self._note = ""
        #: What the next statement has to undo first.
        self._first = ""
        #: The savepoint to go back to, and the server's limit there.
        self._mark = ("", _MOST_MS)

    def limit(self, seconds: float) -> None:
        """Give all statements from now on so much time, together."""
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds

    def limited_by_server(self, milliseconds: int) -> None:
        """Say what the server's own limit of a statement is now."""
        self._server_ms = milliseconds

    def mark(self, savepoint: str) -> None:
        """Set a savepoint for :meth:`rewind` to go back to, each time."""
        set_savepoint(self, savepoint, Phase.READ)
        self._mark = savepoint, self._server_ms

    def rewind(self, *, at_once: bool = False) -> None:
        """Go back to the mark; unless at once, in the round trip of the next statement.

        At once is for who needs to know whether there still is a session.
        """
        savepoint, self._server_ms = self._mark
        self._first = rewinding(savepoint)
        if at_once:
            rewind(self, savepoint, Phase.READ)
            self._first = ""

    def annotate(self, note: str) -> None:
        """Put a comment before every statement from now on; ``pg_stat_activity`` shows it.

        Of foreign text only harmless characters are left.
        """
        text = _UNSAFE.sub("?", note)[:_NOTE_CHARACTERS]
        self._note = f"/* celeriac {text} */ " if text else ""

    def interrupt(self) -> None:
        """End the statement under way, and refuse those that follow; for other threads.

        Call it again while that lasts: between two statements nobody hears it.
        """
        self.is_interrupted = True
        interrupt(self.connection)

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - the driver's name
        """Run a statement, if there is time left."""
        super().execute(self._led(query), vars)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """Run a COPY, if there is time left."""
        super().copy_expert(self._led(sql), file, size)

    @property
    def left_seconds(self) -> float:
        """How much time its statements have left, together."""
        return self._ends_at - time.monotonic()

    @property
    def _has_limit(self) -> bool:
        return self._ends_at < math.inf

    def _led(self, query: Any) -> Any:
        """Put before a statement whom it runs for, the way back, and its limit: one round trip."""
        limit = self._limiting()
        first, self._first = self._note + self._first + limit, ""
        if not first:
            return query
        text = query.as_string(self) if isinstance(query, sql.Composable) else query
        return first.encode() + text if isinstance(text, bytes) else first + text

    def _limiting(self) -> str:
        """Return what sets the server's limit anew, if it has to be; refuse what has no time."""
        if self.is_interrupted:
            raise _ended("the report was interrupted")
        left_ms = (self._ends_at - time.monotonic()) * 1000
        if left_ms <= 0:
            raise _ended(f"the report took longer than {self._seconds:g} s")
        tolerated_ms = self._server_ms * _TOLERATED_SHARE
        if not self._has_limit or abs(left_ms - self._server_ms) <= tolerated_ms:
            return ""
        self._server_ms = _milliseconds(left_ms / 1000)
        # The server's clock for a statement starts with each of those that are sent together.
        return self.mogrify(statement(_LIMIT), {"timeout_ms": self._server_ms}).decode() + ";\n"


def _milliseconds(seconds: float) -> int:
    return max(1, min(_MOST_MS, math.ceil(seconds * 1000)))


def _ended(words: str) -> Refused:
    return Refused(words, sqlstate=QUERY_CANCELED, phase=Phase.READ)
