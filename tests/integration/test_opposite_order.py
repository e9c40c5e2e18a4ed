"""Two workers with the same work in opposite order wait for each other, never in a circle."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from postgres.session import Session
from tests.integration.batches import child_on, deliver, settle
from tests.integration.shop import create_tables, query
from worker.child import Child
from worker.delivery import Delivery, Fate, Settlement

REPEATS = 20
JOBS = 15
#: Rows take their time, so that two batches surely meet in the middle.
SLOW_ROWS = """
CREATE FUNCTION shop.take_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.002);
    RETURN NEW;
END
$$;
CREATE TRIGGER slow BEFORE INSERT ON celeriac.job FOR EACH ROW EXECUTE FUNCTION shop.take_time();
CREATE TRIGGER slow BEFORE INSERT ON shop.item FOR EACH ROW EXECUTE FUNCTION shop.take_time();
CREATE TRIGGER slow BEFORE INSERT ON shop.customer FOR EACH ROW EXECUTE FUNCTION shop.take_time();
"""
#: Longer by far than PostgreSQL waits before it looks for a deadlock.
PATIENT = Session(lock_seconds=30, statement_seconds=60)


@pytest.fixture
def children(database: str) -> Iterator[list[Child]]:
    """Two children, each with connections of its own; no deadlock happened when they close."""
    create_tables(database)
    query(database, SLOW_ROWS)
    with (
        child_on(database, session=PATIENT) as one,
        child_on(database, session=PATIENT) as other,
    ):
        yield [one, other]
    name = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert [(0,)] == query(database, name)


def settle_at_once(
    children: Sequence[Child], batches: Sequence[Sequence[Delivery]]
) -> list[dict[str, Settlement]]:
    """Let each child settle its batch, starting at the same moment."""
    barrier = threading.Barrier(len(children))

    def run(child: Child, batch: Sequence[Delivery]) -> dict[str, Settlement]:
        barrier.wait(60)
        return settle(child, *batch)

    with ThreadPoolExecutor(len(children)) as threads:
        return list(threads.map(run, children, batches))


def test_same_jobs_in_opposite_order(children: list[Child]) -> None:
    """Two batches that claim the same ids in opposite order: no deadlock, each effect once."""
    for repeat in range(REPEATS):
        jobs = [deliver(f"{repeat}-{n:02}", "alpha", [{"n": n}]) for n in range(JOBS)]

        answers = settle_at_once(children, [jobs, jobs[::-1]])

        fates = {one.fate for answer in answers for one in answer.values()}
        assert {Fate.COMMITTED} == fates
        ((rows, distinct),) = query(
            children[0].pool.url, "SELECT count(*), count(DISTINCT n) FROM shop.alpha"
        )
        assert (JOBS * (repeat + 1), JOBS) == (rows, distinct)


def test_same_keys_in_opposite_order(children: list[Child]) -> None:
    """Two jobs that bring the same keys in opposite order: no deadlock, each key once."""
    for repeat in range(REPEATS):
        rows = [{"id": repeat * JOBS + n, "name": "x"} for n in range(JOBS)]
        jobs = [deliver(f"{repeat}-a", "item", rows), deliver(f"{repeat}-b", "item", rows[::-1])]

        answers = settle_at_once(children, [[job] for job in jobs])

        results = [one.result or {} for answer in answers for one in answer.values()]
        assert [JOBS, JOBS] == [result["rows"] for result in results]
        assert JOBS == sum(result["inserted"] for result in results)
        assert JOBS == sum(result["quarantined"] for result in results)


def test_targets_in_opposite_order(children: list[Child]) -> None:
    """Two batches that name the same targets in opposite order commit both, without a deadlock."""
    for repeat in range(REPEATS):
        targets = [("item", {"id": repeat, "name": "x"}), ("customer", {"id": repeat, "name": "y"})]
        batches = [
            [deliver(f"{repeat}-{who}-{target}", target, [row]) for target, row in order]
            for who, order in (("a", targets), ("b", targets[::-1]))
        ]

        answers = settle_at_once(children, batches)

        assert {Fate.COMMITTED} == {one.fate for answer in answers for one in answer.values()}
