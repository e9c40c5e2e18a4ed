"""Keep the driver from writing to standard error when a COPY loses its session."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import psycopg2


@contextmanager
def quiet_copy() -> Iterator[None]:
    """Drop what the driver prints of a lost session inside; what it raises is as ever.

    The server's last word and the end of the connection come as two errors. The
    driver makes the second one while the first is under way, stumbles over that, and
    has Python print it, past every log. From several threads at once it is fine.
    """
    before = sys.excepthook

    def hook(kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        if not (isinstance(value, SystemError) and isinstance(value.__cause__, psycopg2.Error)):
            before(kind, value, trace)

    sys.excepthook = hook
    try:
        yield
    finally:
        # Another thread's may stay in place, which passes on to the one from before.
        sys.excepthook = before
