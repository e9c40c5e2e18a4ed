"""Buried jobs run again under their old ids, once, or never again."""

import json
from collections.abc import Iterator

import pytest

from postgres.kept_jobs import JobSelection, count_kept, pages, read_job, read_kept
from postgres.transaction import transaction
from tests.integration.batches import body_of, child_on, deliver, settle
from tests.integration.shelf import GOOD, in_the_outbox, items, job_state, relay_to
from tests.integration.shop import create_tables, query
from worker.child import Child
from worker.delivery import Delivery, Fate
from worker.redrive import CannotRedrive, Operator, discard, redrive


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def child(database: str) -> Iterator[Child]:
    """A child process's belongings, on the shop's tables."""
    create_tables(database)
    with child_on(database) as child:
        yield child


@pytest.fixture
def operator(database: str) -> Operator:
    """Somebody, at the database's time."""
    ((now,),) = query(database, "SELECT now()")
    return Operator("tester", now)


def bury(child: Child, id_: str = "sick", target: str = "item", **more: str) -> Delivery:
    """Bury a job of one good row, as if it had killed its processes."""
    job = deliver(id_, target, [GOOD], buried=more.get("buried", "it killed 3 processes"))
    settle(child, job)
    return job


def test_redriven_job_commits_under_its_old_id(
    child: Child, database: str, operator: Operator
) -> None:
    """A dead job is enqueued again, its tries forgotten, and its rows go in."""
    bury(child)

    redrive("sick", None, child.kinds, operator, child.pool)
    assert "queued" == query(database, "SELECT celeriac.state('sick')")[0][0]
    relay_to(child, database)

    assert ("committed", [1]) == (job_state(database, "sick"), [one[0] for one in items(database)])
    row = "SELECT subject, rows, inserted, attempts, error, payload FROM celeriac.job"
    assert [("item", 1, 1, 1, None, None)] == query(database, row)


def test_redriving_twice_enqueues_once(child: Child, database: str, operator: Operator) -> None:
    """The second operator is told that the job is on its way."""
    bury(child)
    redrive("sick", None, child.kinds, operator, child.pool)

    with pytest.raises(CannotRedrive, match="on its way already"):
        redrive("sick", None, child.kinds, operator, child.pool)
    jobs = in_the_outbox(database)
    fates = [settle(child, *jobs)["sick"].fate for _ in range(2)]

    assert [Fate.COMMITTED, Fate.COMMITTED] == fates
    assert 1 == len(items(database))


def test_edited_job_runs_with_its_new_arguments(
    child: Child, database: str, operator: Operator
) -> None:
    """The ledger takes the edited payload for the job's own, and the first one for another's."""
    first = deliver("sick", "itme", [GOOD])
    settle(child, first)
    assert "not in the catalog" in str(read(child, "sick").error)

    edited = json.dumps({"target": "item", "rows": [{**GOOD, "price": 3}]})
    redrive("sick", edited, child.kinds, operator, child.pool)
    stray = settle(child, Delivery(first.id, first.task, first.body))
    relay_to(child, database)

    assert Fate.CONFLICT == stray["sick"].fate
    assert [(1, "ink", 3)] == items(database)


def test_job_that_is_still_bad_is_buried_again(
    child: Child, database: str, operator: Operator
) -> None:
    """A redriven job can die again, and be redriven again."""
    bury(child, target="itme")
    for _ in range(2):
        redrive("sick", None, child.kinds, operator, child.pool)
        relay_to(child, database)
        query(database, "DELETE FROM celeriac.outbox")

        assert "dead" == job_state(database, "sick")
        assert "not in the catalog" in str(read(child, "sick").error)


def test_what_cannot_be_redriven_is_told(child: Child, database: str, operator: Operator) -> None:
    """Jobs that no worker could run, or that did not die, are left as they are, with the words."""
    settle(child, deliver("well", "item", [GOOD]))
    bury(child, "celeriac.replay-1")
    settle(child, Delivery("garbled", "celeriac.ingest", b"no JSON"))
    settle(child, Delivery("foreign", "shop.sell", body_of({}), buried="unknown task"))
    words = {
        "nobody": "does not know it",
        "well": "it is committed",
        "celeriac.replay-1": "quarantine replay",
        "garbled": "--payload",
        "foreign": "CELERIAC_KINDS",
    }

    for id_, word in words.items():
        with pytest.raises(CannotRedrive, match=word):
            redrive(id_, None, child.kinds, operator, child.pool)
    with pytest.raises(CannotRedrive, match="JSON object"):
        redrive("garbled", "[1]", child.kinds, operator, child.pool)

    assert [] == in_the_outbox(database)


def test_discarded_job_never_runs(child: Child, database: str, operator: Operator) -> None:
    """Its payload is gone, a delivery of it is settled as cancelled, and it cannot be redriven."""
    job = bury(child)
    redrive("sick", None, child.kinds, operator, child.pool)

    assert discard("sick", operator, child.pool)
    assert not discard("sick", operator, child.pool)

    settled = settle(child, Delivery(job.id, job.task, job.body))["sick"]
    assert (Fate.CANCELLED, []) == (settled.fate, items(database))
    assert "discarded by tester" in str(settled.error)
    assert None is read(child, "sick").payload
    assert [] == in_the_outbox(database)
    with pytest.raises(CannotRedrive, match="cancelled"):
        redrive("sick", None, child.kinds, operator, child.pool)


def test_jobs_are_found_by_what_is_known_of_them(child: Child, database: str) -> None:
    """Each choice narrows the list; counts join reasons that differ in numbers only."""
    bury(child, "a-1", buried="it killed 3 processes")
    bury(child, "a-2", buried="it killed 4 processes")
    settle(child, deliver("b-1", "itme", [GOOD]))
    query(
        database,
        "UPDATE celeriac.job SET set_aside_at = now() - interval '2 days' WHERE id = 'b-1'",
    )
    ((now,),) = query(database, "SELECT now() - interval '1 day'")
    choices = {
        "a-1 a-2 b-1": JobSelection(["dead"]),
        "a-1": JobSelection(["dead"], ids=["a-1", "none"]),
        "a-2": JobSelection(["dead"], reason="KILLED 4"),
        "a-1 a-2": JobSelection(["dead"], since=now),
        "b-1": JobSelection(["dead"], until=now),
        "": JobSelection(["held"]),
    }

    with transaction(child.pool) as cursor:
        found = {" ".join(pages(one, cursor)): one for one in choices.values()}
        counts = [one.jobs for one in count_kept(JobSelection(["dead"]), cursor)]
        latest = [one.id for one in read_kept(JobSelection(["dead"]), 2, cursor)]

    assert choices == found
    assert [2, 1] == counts
    assert {"a-1", "a-2"} == set(latest)


def read(child: Child, id_: str):
    """Return everything that is known of a job."""
    with transaction(child.pool) as cursor:
        job = read_job(id_, cursor)
    assert job is not None
    return job
