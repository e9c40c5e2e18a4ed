"""Finding bad rows takes few statements: proportional to the bad ones, not to all."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg2 import extensions

from postgres.session import Session
from tests.integration.batches import child_on, deliver, settle
from tests.integration.shop import create_tables, query
from worker.child import Child

#: For each bad row and each halving: savepoint, try, undo or release, on both halves, is six;
#: the rest pays for naming the bad column and for what a batch costs once.
STATEMENTS = 10
ROWS = 1024


class CountingCursor(extensions.cursor):
    """The driver's cursor; counts what it was asked."""

    statements = 0

    def execute(self, *args: Any) -> None:
        """Count, then ask."""
        CountingCursor.statements += 1
        super().execute(*args)


class CountedSession(Session):
    """A session whose cursors count."""

    def connect_options(self) -> dict[str, object]:
        """Add the counting cursor."""
        return {**super().connect_options(), "cursor_factory": CountingCursor}


@pytest.fixture
def child(database: str) -> Iterator[Child]:
    """A child whose statements are counted."""
    create_tables(database)
    with child_on(database, session=CountedSession(statement_seconds=20)) as child:
        settle(child, deliver("warm-up", "item", [{"id": -1, "name": "known table"}]))
        CountingCursor.statements = 0
        yield child


@pytest.mark.parametrize("bad_value", [-1, "word"], ids=["check", "type"])
@pytest.mark.parametrize("bad", [1, 2, 32])
def test_search_for_bad_rows_is_cheap(child: Child, bad: int, bad_value: object) -> None:
    """k bad rows of n cost at most c·k·log2(n) statements, and exactly they are found."""
    wrong = set(range(0, ROWS, ROWS // bad))
    rows = [
        {"id": n, "name": "x", "price": bad_value if n in wrong else 1, "code": None}
        for n in range(ROWS)
    ]

    settled = settle(child, deliver("job", "item", rows))

    assert {"rows": ROWS, "inserted": ROWS - bad, "quarantined": bad} == settled["job"].result
    found = query(child.pool.url, "SELECT row_number - 1 FROM celeriac.quarantine")
    assert wrong == {number for (number,) in found}
    assert CountingCursor.statements <= STATEMENTS * bad * math.log2(ROWS)


def test_clean_batch_costs_no_search(child: Child) -> None:
    """A batch of 100 clean jobs takes as many statements as one clean job."""
    settle(child, deliver("one", "item", [{"id": 0, "name": "x"}]))
    alone = CountingCursor.statements
    CountingCursor.statements = 0

    settle(child, *(deliver(f"j{n}", "item", [{"id": n, "name": "x"}]) for n in range(1, 101)))

    assert alone == CountingCursor.statements
