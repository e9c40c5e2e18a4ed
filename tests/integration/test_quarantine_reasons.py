"""A quarantined row says where it stood, which column was wrong, and why in PostgreSQL's words."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.batches import INGEST, child_on, deliver, settle
from tests.integration.shop import create_tables, query
from worker.child import Child
from worker.delivery import Delivery

GOOD = {"id": 1, "name": "good", "code": "taken"}
REASONS: dict[str, tuple[dict[str, Any], str | None, str, str]] = {
    "wrong type": (
        {"id": 2, "name": "b", "price": "dear"},
        "price",
        "22P02",
        'invalid input syntax for type numeric: "dear"',
    ),
    "out of range": (
        {"id": 2**40, "name": "b"},
        "id",
        "22003",
        'value "1099511627776" is out of range for type integer',
    ),
    "NUL": (
        {"id": 2, "name": "a\0b"},
        "name",
        "22P05",
        "unsupported Unicode escape sequence",
    ),
    "unknown column": (
        {"id": 2, "name": "b", "colour": "red"},
        "colour",
        "42703",
        'column "colour" of target "item" does not exist',
    ),
    "NOT NULL": (
        {"id": 2, "name": None},
        "name",
        "23502",
        'null value in column "name" of relation "item" violates not-null constraint',
    ),
    "missing column": (
        {"id": 2},
        "name",
        "23502",
        'null value in column "name" of relation "item" violates not-null constraint',
    ),
    "CHECK": (
        {"id": 2, "name": "b", "price": -0.01},
        None,
        "23514",
        'new row for relation "item" violates check constraint "item_price_check"',
    ),
    "FOREIGN KEY": (
        {"id": 2, "name": "b", "customer": 404},
        None,
        "23503",
        'insert or update on table "item" violates foreign key constraint "item_customer_fkey"',
    ),
    "UNIQUE": (
        {"id": 2, "name": "b", "code": "taken"},
        None,
        "23505",
        'duplicate key value violates unique constraint "item_code_key"',
    ),
}


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def child(database: str) -> Iterator[Child]:
    """A child on the shop's tables."""
    create_tables(database)
    with child_on(database) as child:
        yield child


@pytest.mark.parametrize("case", REASONS)
def test_reason_of_a_quarantined_row(child: Child, case: str) -> None:
    """Row number, column, SQLSTATE and PostgreSQL's words are kept with the row; others commit."""
    bad, column, sqlstate, message = REASONS[case]

    settled = settle(child, deliver("j", "item", [GOOD, bad, {"id": 3, "name": "c"}]))

    assert {"rows": 3, "inserted": 2, "quarantined": 1} == settled["j"].result
    found = query(
        child.pool.url,
        "SELECT job_id, row_number, target, column_name, sqlstate, message"
        " FROM celeriac.quarantine",
    )
    assert [("j", 2, "item", column, sqlstate, message)] == found


def test_row_is_kept_as_it_came(child: Child) -> None:
    """The quarantined row keeps every digit and every escape of its text."""
    row = '{"id": 2, "name": "\\u0000", "price": 1.10000000000000000000001e0}'
    body = f'[["item", [{row}]], {{}}, null]'.encode()

    settle(child, Delivery("j", INGEST, body))

    assert [(row,)] == query(child.pool.url, "SELECT row::text FROM celeriac.quarantine")


def test_every_kind_of_mistake_in_one_batch(child: Child) -> None:
    """All mistakes at once, spread over several jobs: each is found, each good row commits."""
    bad = [row for row, *_ in REASONS.values()]
    jobs = [deliver(f"bad-{n}", "item", [row]) for n, row in enumerate(bad)]
    good = deliver("good", "item", [GOOD, {"id": 3, "name": "c"}])

    settled = settle(child, good, *jobs)

    assert {"rows": 2, "inserted": 2, "quarantined": 0} == settled["good"].result
    found = query(child.pool.url, "SELECT sqlstate FROM celeriac.quarantine ORDER BY job_id")
    assert [sqlstate for _, _, sqlstate, _ in REASONS.values()] == [state for (state,) in found]
