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
#: the rest pays for what a batch costs once.
STATEMENTS = 8
#: What a batch with bad rows costs if none of them has to be searched.
MOST_STATEMENTS = 30
ROWS = 1024


#: A rule that nobody can ask about.
MOODY = """
CREATE FUNCTION shop.moody() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.name = 'grumpy' THEN
        RAISE EXCEPTION 'not today';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER moody BEFORE INSERT ON shop.item FOR EACH ROW EXECUTE FUNCTION shop.moody();
"""


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


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
        known = {"id": -1, "name": "known table", "code": "taken"}
        settle(child, deliver("warm-up", "item", [known]))
        CountingCursor.statements = 0
        yield child


BAD = {
    "type": {"price": "word"},
    "check": {"price": -1},
    "not null": {"name": None},
    "foreign key": {"customer": 404},
    "unique": {"code": "taken"},
    "nul": {"name": "a\0b"},
}


def search(child: Child, bad: int, change: dict[str, Any]) -> int:
    """Send a batch with so many bad rows; return how many statements it took."""
    wrong = set(range(0, ROWS, ROWS // bad))
    good = {"name": "x", "price": 1, "code": None, "customer": None}
    rows = [{"id": n, **good, **(change if n in wrong else {})} for n in range(ROWS)]
    CountingCursor.statements = 0

    settled = settle(child, deliver("job", "item", rows))

    statements = CountingCursor.statements
    assert {"rows": ROWS, "inserted": ROWS - bad, "quarantined": bad} == settled["job"].result
    found = query(child.pool.url, "SELECT row_number - 1 FROM celeriac.quarantine")
    assert wrong == {number for (number,) in found}
    query(child.pool.url, "DELETE FROM shop.item WHERE id >= 0; TRUNCATE celeriac.job CASCADE")
    return statements


@pytest.mark.parametrize("kind", BAD)
def test_what_can_be_asked_of_many_rows_costs_the_same(child: Child, kind: str) -> None:
    """64 bad rows of a sort that can be asked about cost as many statements as two."""
    costs = {bad: search(child, bad, BAD[kind]) for bad in (2, 32, 64)}

    assert 1 == len(set(costs.values())), costs
    assert costs[2] <= MOST_STATEMENTS


@pytest.mark.parametrize("bad", [1, 2, 32])
def test_search_by_halving_is_cheap(child: Child, bad: int) -> None:
    """What a trigger refuses costs at most c·k·log2(n) statements for k bad rows of n."""
    query(child.pool.url, MOODY)

    statements = search(child, bad, {"name": "grumpy"})

    assert statements <= STATEMENTS * bad * math.log2(ROWS)


def test_clean_batch_costs_no_search(child: Child) -> None:
    """A batch of 100 clean jobs takes as many statements as one clean job."""
    settle(child, deliver("one", "item", [{"id": 0, "name": "x"}]))
    alone = CountingCursor.statements
    CountingCursor.statements = 0

    settle(child, *(deliver(f"j{n}", "item", [{"id": n, "name": "x"}]) for n in range(1, 101)))

    assert alone == CountingCursor.statements
