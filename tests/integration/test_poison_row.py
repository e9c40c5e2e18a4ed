"""A bad row hurts nobody: neither its neighbours in the job nor those in the batch."""

from collections.abc import Iterator

import pytest

from tests.integration.batches import child_on, deliver, settle
from tests.integration.shop import create_tables, query
from worker.child import Child
from worker.delivery import Fate

BAD = {"id": 2, "name": "b", "price": -1}


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


def items(child: Child) -> list[int]:
    return [id_ for (id_,) in query(child.pool.url, "SELECT id FROM shop.item ORDER BY id")]


def test_poison_row_spares_its_neighbours_in_the_job(child: Child) -> None:
    """The other rows of its job are committed, and the account adds up."""
    rows = [{"id": 1, "name": "a"}, BAD, {"id": 3, "name": "c"}]

    settled = settle(child, deliver("j", "item", rows))

    assert [1, 3] == items(child)
    assert Fate.COMMITTED == settled["j"].fate
    assert {"rows": 3, "inserted": 2, "quarantined": 1} == settled["j"].result


def test_poison_row_spares_the_batch(child: Child) -> None:
    """The other jobs of its batch are committed in the same transaction as its own good rows."""
    good = [deliver(f"good-{n}", "item", [{"id": n, "name": "x"}]) for n in range(10, 14)]
    mixed = deliver("mixed", "item", [BAD, {"id": 1, "name": "a"}])

    settled = settle(child, *good[:2], mixed, *good[2:])

    assert {Fate.COMMITTED} == {one.fate for one in settled.values()}
    assert [1, 10, 11, 12, 13] == items(child)
    transactions = query(
        child.pool.url,
        "SELECT DISTINCT xact FROM shop.item UNION SELECT batch FROM celeriac.job",
    )
    assert 1 == len(transactions)


def test_poison_row_spares_other_targets(child: Child) -> None:
    """Jobs of another target in the batch are committed with it."""
    settled = settle(
        child, deliver("bad", "item", [BAD]), deliver("other", "alpha", [{"n": 1}, {"n": 2}])
    )

    assert {"rows": 2, "inserted": 2, "quarantined": 0} == settled["other"].result
    assert {"rows": 1, "inserted": 0, "quarantined": 1} == settled["bad"].result
    assert [(2,)] == query(child.pool.url, "SELECT count(*) FROM shop.alpha")


def test_only_bad_rows(child: Child) -> None:
    """A job of bad rows only is committed with all of them in quarantine, once each."""
    rows = [{**BAD, "id": n} for n in range(5)]

    settled = settle(child, deliver("bad", "item", rows))

    assert {"rows": 5, "inserted": 0, "quarantined": 5} == settled["bad"].result
    found = query(child.pool.url, "SELECT row_number FROM celeriac.quarantine ORDER BY 1")
    assert [(1,), (2,), (3,), (4,), (5,)] == found


def test_second_of_two_equal_keys_is_the_bad_one(child: Child) -> None:
    """Of two rows with one key the earlier stays, whatever job each came in."""
    settled = settle(
        child,
        deliver("first", "item", [{"id": 1, "name": "kept"}]),
        deliver("second", "item", [{"id": 1, "name": "late"}, {"id": 2, "name": "b"}]),
    )

    assert {"rows": 1, "inserted": 1, "quarantined": 0} == settled["first"].result
    assert {"rows": 2, "inserted": 1, "quarantined": 1} == settled["second"].result
    assert [("kept",), ("b",)] == query(child.pool.url, "SELECT name FROM shop.item ORDER BY id")
