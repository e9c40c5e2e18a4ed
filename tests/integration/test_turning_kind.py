"""Jobs of any kind may turn out to take long, or go back to wait, each in its own way."""

from collections.abc import Iterator

import pytest

from tasks.kind import Waits
from tests.integration import depot
from tests.integration.batches import body_of, child_on, settle, settle_each
from tests.integration.shop import query
from tests.integration.turning_kind import TASK
from worker.child import Child
from worker.delivery import Delivery, Fate

KIND = "tests.integration.turning_kind:TURNING"
HOLD = (
    "UPDATE celeriac.job SET state = 'held', error = 'by hand', payload = '{}',"
    " set_aside_at = now()"
)


@pytest.fixture
def child(database: str) -> Iterator[Child]:
    """A child that knows the turning kind."""
    depot.create_tables(database)
    with child_on(database, kinds=[KIND], catalog=depot.CATALOG) as child:
        yield child


def deliver(id_: str, first: int, *, takes_long: bool = False, **more: object) -> Delivery:
    body = body_of({"first": first, **more})
    return Delivery(id_, TASK, body, takes_long=takes_long)


def ledger(child: Child) -> list[tuple[object, ...]]:
    return query(child.pool.url, "SELECT id, state, inserted FROM celeriac.job ORDER BY id")


def places(child: Child) -> int:
    ((count,),) = query(child.pool.url, "SELECT count(*) FROM depot.place WHERE id >= 1000")
    return int(count)


def test_long_one_leaves_its_company(child: Child) -> None:
    """The others commit; of the long one the ledger knows nothing until it has its turn."""
    settled = settle(child, deliver("a", 0), deliver("long", 100, count=20), deliver("z", 1))

    assert [Fate.COMMITTED, Fate.WORKING, Fate.COMMITTED] == [
        settled[id_].fate for id_ in ("a", "long", "z")
    ]
    assert [("a", "committed", 1), ("z", "committed", 1)] == ledger(child)

    (ended,) = settle_each(child, deliver("long", 100, count=20, takes_long=True))
    assert {"rows": 20, "inserted": 20, "quarantined": 0} == ended.result
    assert 22 == places(child)


def test_lone_long_one_goes_on_at_once(child: Child) -> None:
    """Nobody waits for the child: it is the same delivery that commits it."""
    (settled,) = settle_each(child, deliver("long", 0, count=20))

    assert Fate.COMMITTED == settled.fate
    assert [("long", "committed", 20)] == ledger(child)


def test_lone_long_one_that_fails_is_buried_at_once(child: Child) -> None:
    """Its burial is no further step: the steps that it took stay, and are counted."""
    settle(child, deliver("in the way", 5))

    (settled,) = settle_each(child, deliver("long", 0, count=20))

    assert Fate.DEAD == settled.fate
    assert "duplicate key" in str(settled.error)
    assert [("in the way", "committed", 1), ("long", "dead", 5)] == ledger(child)


@pytest.mark.parametrize(
    ("waits", "fate"),
    [
        (Waits.WITH_ITS_SUBJECT, Fate.LATER),
        (Waits.BY_ITSELF, Fate.TAKEN),
        (Waits.NOT_AT_ALL, Fate.GIVEN_BACK),
    ],
)
def test_each_way_to_wait_has_its_fate(child: Child, waits: Waits, fate: Fate) -> None:
    """Nothing of a job that waits is written, and its companions commit."""
    settled = settle(child, deliver("a", 0), deliver("waiting", 1, waits=waits))

    assert (Fate.COMMITTED, fate) == (settled["a"].fate, settled["waiting"].fate)
    assert [("a", "committed", 1)] == ledger(child)


def test_unwanted_ones_are_cancelled(child: Child) -> None:
    """In company by the kind's own look, in a long run before its next step."""
    child.signals.unwant("a")
    child.signals.unwant("long")

    settled = settle(child, deliver("a", 0), deliver("b", 1))
    (long,) = settle_each(child, deliver("long", 100, count=20, takes_long=True))

    assert [Fate.CANCELLED, Fate.COMMITTED] == [settled[id_].fate for id_ in ("a", "b")]
    assert (Fate.CANCELLED, "revoked") == (long.fate, long.error)
    assert 1 == places(child)


def test_company_leaves_a_job_to_its_long_run(child: Child) -> None:
    """Delivered again, it goes step by step, and the rows in the ledger are those that it has."""
    child.signals.stop()
    (stopped,) = settle_each(child, deliver("long", 100, count=5, takes_long=True))
    with child_on(child.pool.url, kinds=[KIND], catalog=depot.CATALOG) as other:
        settled = settle(other, deliver("long", 100, count=5), deliver("a", 0))
        left_alone = ledger(child)
        (ended,) = settle_each(other, deliver("long", 100, count=5))

    assert Fate.GIVEN_BACK == stopped.fate
    assert (Fate.WORKING, Fate.COMMITTED) == (settled["long"].fate, settled["a"].fate)
    assert ("long", "working", 0) == left_alone[1]
    assert {"rows": 5, "inserted": 5, "quarantined": 0} == ended.result
    assert ("long", "committed", 5) == ledger(child)[1]


def test_what_company_did_of_a_held_job_is_what_counts(child: Child) -> None:
    """A job that began long, was held, and is then done in company has that one's rows."""
    child.signals.stop()
    settle_each(child, deliver("held", 100, count=5, takes_long=True))
    query(child.pool.url, HOLD)
    (settled,) = settle_each(child, deliver("held", 100, count=5))

    assert Fate.COMMITTED == settled.fate
    assert [("held", "committed", 5)] == ledger(child)
