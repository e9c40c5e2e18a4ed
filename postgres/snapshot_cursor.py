"""A cursor whose statements end in time together, say for whom they run, and can be interrupted."""

import math
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import extensions, sql

from postgres.errors import Phase, Refused
from postgres.statements import statement
from postgres.transaction import rewind

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

    def limit(self, seconds: float) -> None:
        """Give all statements from now on so much time, together."""
        self._seconds = seconds
        self._ends_at = time.monotonic() + seconds

    def limited_by_server(self, milliseconds: int) -> None:
        """Say what the server's own limit of a statement is now."""
        self._server_ms = milliseconds

    def rewind(self, savepoint: str, seconds: float) -> None:
        """Go back to a savepoint, and give what comes next so much time."""
        self.limit(seconds)
        self._server_ms = _milliseconds(seconds)
        parameters = {"timeout_ms": self._server_ms}
        rewind(self, savepoint, Phase.READ, statement(_LIMIT), parameters)

    def annotate(self, note: str) -> None:
        """Put a comment before every statement from now on; ``pg_stat_activity`` shows it.

        Of foreign text only harmless characters are left.
        """
        text = _UNSAFE.sub("?", note)[:_NOTE_CHARACTERS]
        self._note = f"/* celeriac {text} */ " if text else ""

    def interrupt(self) -> None:
        """End the statement under way, and refuse those that follow; for other threads.

        Call it again while that lasts: between two statements nobody hears it. The driver stops
        the whole process while it asks: a peer that accepts and says nothing holds the child until
        its hard limit.
        """
        self.is_interrupted = True
        with suppress(psycopg2.Error):
            self.connection.cancel()

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - the driver's name
        """Run a statement, if there is time left."""
        self._allow()
        super().execute(self._noted(query), vars)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        """Run a COPY, if there is time left."""
        self._allow()
        super().copy_expert(self._noted(sql), file, size)

    @property
    def _has_limit(self) -> bool:
        return self._ends_at < math.inf

    def _noted(self, query: Any) -> Any:
        if not self._note:
            return query
        text = query.as_string(self) if isinstance(query, sql.Composable) else query
        return self._note.encode() + text if isinstance(text, bytes) else self._note + text

    def _allow(self) -> None:
        if self.is_interrupted:
            raise _ended("the report was interrupted")
        left_ms = (self._ends_at - time.monotonic()) * 1000
        if left_ms <= 0:
            raise _ended(f"the report took longer than {self._seconds:g} s")
        tolerated_ms = self._server_ms * _TOLERATED_SHARE
        if self._has_limit and abs(left_ms - self._server_ms) > tolerated_ms:
            self._server_ms = _milliseconds(left_ms / 1000)
            super().execute(statement(_LIMIT), {"timeout_ms": self._server_ms})


def _milliseconds(seconds: float) -> int:
    return max(1, min(_MOST_MS, math.ceil(seconds * 1000)))


def _ended(words: str) -> Refused:
    return Refused(words, sqlstate=QUERY_CANCELED, phase=Phase.READ)
