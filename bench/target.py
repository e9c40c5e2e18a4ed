"""What a run must leave behind: exactly the rows of its jobs, in the subject's one table."""

import time
from collections.abc import Callable
from typing import Any

import psycopg2

from bench.crew import Crew
from bench.ground import RunFailed

POLL_SECONDS = 0.005
#: Between two looks at a lone row; a look itself takes as long.
GLANCE_SECONDS = 0.00005


class Target:
    """The table of one run, seen from a connection of the harness, which is never delayed."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def wait_for_last(self, rows: int, crew: Crew, seconds: float) -> float:
        """Return the moment at which all rows were seen to be there, counted in order of age.

        Counting costs; it begins when the youngest job's row is there.
        """
        deadline = time.monotonic() + seconds
        self._wait(lambda: self.has(rows), crew, deadline)
        while True:
            seen_at = time.monotonic()
            if self.count() >= rows:
                return seen_at
            crew.check(deadline, f"to insert {rows} rows")
            time.sleep(POLL_SECONDS)

    def wait_for(self, number: int, crew: Crew, seconds: float) -> float:
        """Return the moment at which one row was seen."""
        deadline = time.monotonic() + seconds
        while not self.has(number):
            time.sleep(GLANCE_SECONDS)
            if time.monotonic() > deadline:
                crew.check(deadline, f"to insert row {number}")
        return time.monotonic()

    def has(self, number: int) -> bool:
        """Tell whether a row is visible."""
        return self.ask("SELECT EXISTS (SELECT FROM bench_rows WHERE id = %s)", number) is True

    def count(self) -> int:
        """Count the rows."""
        return int(self.ask("SELECT count(*) FROM bench_rows"))

    def verify(self, rows: int) -> None:
        """Raise RunFailed unless the table holds the rows 1 to that number, each once."""
        self._cursor.execute("SELECT count(*), min(id), max(id) FROM bench_rows")
        found = self._cursor.fetchone()
        if found != (rows, 1, rows):
            raise RunFailed(f"count, least and greatest id are {found}, not {(rows, 1, rows)}")

    def ask(self, text: str, *values: Any) -> Any:
        """Return the one value that a query answers."""
        self._cursor.execute(text, values or None)
        found = self._cursor.fetchone()
        return found and found[0]

    def _wait(self, condition: Callable[[], bool], crew: Crew, deadline: float) -> None:
        while not condition():
            crew.check(deadline, "to insert the youngest job's row")
            time.sleep(POLL_SECONDS)
