"""Whatever is delivered twice is settled twice to the same end, and has its effect once."""

from collections.abc import Iterator

import pytest

from tests.integration.batches import child_on, deliver, settle, settle_each
from tests.integration.shop import create_tables, query
from worker.child import Child
from worker.delivery import Fate

ROWS = [{"n": 1}, {"n": 2}]
WHOLE = {"rows": 2, "inserted": 2, "quarantined": 0}


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


def count(child: Child, table: str) -> int:
    ((rows,),) = query(child.pool.url, f"SELECT count(*) FROM {table}")
    return int(rows)


def test_twice_in_one_batch(child: Child) -> None:
    """A message that arrives twice in a batch commits once and settles twice."""
    job = deliver("j", "alpha", ROWS)

    settlements = settle_each(child, job, job)

    assert [Fate.COMMITTED] * 2 == [one.fate for one in settlements]
    assert [WHOLE] * 2 == [one.result for one in settlements]
    assert 2 == count(child, "shop.alpha")


def test_again_after_commit(child: Child) -> None:
    """A committed job that comes again gets its result again, without a second effect."""
    bad = {"n": "word"}
    job = deliver("j", "alpha", [*ROWS, bad])
    first = settle(child, job)["j"]

    second = settle(child, job)["j"]

    assert {"rows": 3, "inserted": 2, "quarantined": 1} == first.result
    assert (first.fate, first.result) == (second.fate, second.result)
    assert (2, 1) == (count(child, "shop.alpha"), count(child, "celeriac.quarantine"))


def test_again_among_new_ones(child: Child) -> None:
    """A known job in a batch of new ones holds up none of them."""
    known = deliver("known", "alpha", ROWS)
    settle(child, known)

    settled = settle(child, deliver("a", "alpha", ROWS), known, deliver("b", "alpha", ROWS))

    assert [WHOLE] * 3 == [one.result for one in settled.values()]
    assert 6 == count(child, "shop.alpha")


def test_dead_stays_dead(child: Child) -> None:
    """A buried job that comes again is told the same words again."""
    job = deliver("j", "nowhere", ROWS)

    first, second = settle(child, job)["j"], settle(child, job)["j"]

    assert Fate.DEAD == first.fate == second.fate
    assert first.error == second.error
    assert 1 == count(child, "celeriac.job")


def test_cancelled_stays_cancelled(child: Child) -> None:
    """A cancelled job that comes again, now in time, is still cancelled."""
    settle(child, deliver("j", "alpha", ROWS, cancelled="revoked"))

    again = settle(child, deliver("j", "alpha", ROWS))["j"]

    assert (Fate.CANCELLED, "revoked") == (again.fate, again.error)
    assert 0 == count(child, "shop.alpha")


@pytest.mark.parametrize("why", ["revoked", "expired at 2024-05-01T00:00:00+00:00"])
def test_committed_is_never_shown_as_cancelled(child: Child, why: str) -> None:
    """A committed job that is revoked or expires later settles as committed."""
    settle(child, deliver("j", "alpha", ROWS))

    again = settle(child, deliver("j", "alpha", ROWS, cancelled=why))["j"]

    assert (Fate.COMMITTED, WHOLE) == (again.fate, again.result)


def test_committed_is_never_buried(child: Child) -> None:
    """A committed job that a later delivery would bury, as a suspect, settles as committed."""
    settle(child, deliver("j", "alpha", ROWS))

    again = settle(child, deliver("j", "alpha", ROWS, buried="its process died"))["j"]

    assert (Fate.COMMITTED, WHOLE) == (again.fate, again.result)


@pytest.mark.parametrize("when", ["in one batch", "later"])
def test_same_id_other_payload(child: Child, when: str) -> None:
    """Another payload under a taken id is buried under an id of its own; the first stays."""
    first, other = deliver("j", "alpha", ROWS), deliver("j", "alpha", [{"n": 9}])

    if when == "in one batch":
        settlements = settle_each(child, first, other)
    else:
        settlements = [settle_each(child, job)[0] for job in (first, other)]

    assert [Fate.COMMITTED, Fate.CONFLICT] == [one.fate for one in settlements]
    assert [(1,), (2,)] == query(child.pool.url, "SELECT n FROM shop.alpha ORDER BY n")
    ((kept, id_, error, payload),) = query(
        child.pool.url,
        "SELECT state, id, error, payload FROM celeriac.job WHERE id <> 'j'",
    )
    assert ("dead", "j!") == (kept, id_[:2])
    assert "id 'j' was used before, with another payload: the first stays" == error
    assert '{"n": 9}' in payload


def test_positional_is_the_same_payload(child: Child) -> None:
    """One payload, passed by name and by position, is one job and no conflict."""
    settle(child, deliver("j", "alpha", ROWS))
    by_name = deliver("j", "alpha", ROWS)
    positional = by_name.body.replace(b"[[], {", b'[["alpha"], {').replace(
        b'"target": "alpha", ', b""
    )

    (again,) = settle_each(child, type(by_name)("j", by_name.task, positional))

    assert (Fate.COMMITTED, WHOLE) == (again.fate, again.result)
