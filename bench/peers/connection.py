"""A psycopg2 connection for every thread that runs jobs; opened by its first job."""

import os
import threading
from typing import Any

import psycopg2

_of_this_thread = threading.local()


def connection() -> Any:
    """Return this thread's own connection."""
    if not hasattr(_of_this_thread, "connection"):
        _of_this_thread.connection = psycopg2.connect(os.environ["BENCH_DATABASE_URL"])
    return _of_this_thread.connection
