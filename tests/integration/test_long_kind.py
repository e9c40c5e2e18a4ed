"""A job of many transactions goes on where it was, and none of its steps counts twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import QueryCanceled

from postgres.progress import Overtaken, begin_run
from postgres.session import Session
from postgres.transaction import transaction_on
from tasks.kind import Counts
from tasks.long_kind import Progress, Steps
from tests.integration import depot
from tests.integration.batches import body_of, child_on, settle
from tests.integration.shop import query
from tests.integration.stepping_kind import STEPPING, TASK
from tests.waiting import wait_for
from worker.child import Child
from worker.delivery import Delivery, Fate, Settlement

KIND = "tests.integration.stepping_kind:STEPPING"


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def child(database: str) -> Iterator[Child]:
    """A child that knows the stepping kind, whose jobs may not pass where they wait."""
    depot.create_tables(database)
    STEPPING.may_pass = False
    with child_on(database, kinds=[KIND], catalog=depot.CATALOG) as child:
        yield child


def deliver(id_: str = "j", *, cancelled: str | None = None, **payload: int) -> Delivery:
    return Delivery(id_, TASK, body_of(payload), cancelled=cancelled)


def run(child: Child, *args: Any, **kwargs: Any) -> Settlement:
    (settlement,) = settle(child, deliver(*args, **kwargs)).values()
    return settlement


def written(child: Child) -> list[int]:
    return [
        n
        for (n,) in query(
            child.pool.url, "SELECT id - 1000 FROM depot.place WHERE id > 9 ORDER BY 1"
        )
    ]


def entry(child: Child, id_: str = "j") -> tuple[object, ...]:
    (found,) = query(
        child.pool.url,
        "SELECT state, rows, inserted, error FROM celeriac.job WHERE id = %s",
        (id_,),
    )
    return found


def steps_of(child: Child, name: str, connection: Any) -> Steps:
    """Begin a run of job ``j`` as a child does, without asking whether another one lives."""
    with transaction_on(connection) as cursor:
        place = begin_run("j", name, cursor)
    return Steps("j", name, place, connection, tell=lambda _: None, is_stopping=lambda: False)


def take(steps: Steps, number: int) -> None:
    with steps.step() as step:
        step.cursor.execute("INSERT INTO depot.place VALUES (%s)", (1000 + number,))
        step.move(number + 1, Counts(inserted=1))


def test_steps_add_up(child: Child) -> None:
    """Each step is a transaction, and the last one commits the job with the rows of all."""
    settled = run(child, steps=3)

    assert (Fate.COMMITTED, {"rows": 3, "inserted": 3, "quarantined": 0}) == (
        settled.fate,
        settled.result,
    )
    assert [0, 1, 2] == written(child)
    assert ("committed", 3, 3, None) == entry(child)


def test_interrupted_job_goes_on_where_it_was(child: Child) -> None:
    """What was committed before stays, is not done again, and is counted in the end."""
    waiting = run(child, steps=4, waits_at=2)
    assert (Fate.TAKEN, "something is away") == (waiting.fate, waiting.error)
    assert ([0, 1], ("working", 0, 0, None)) == (written(child), entry(child))

    STEPPING.may_pass = True
    settled = run(child, steps=4, waits_at=2)

    assert {"rows": 4, "inserted": 4, "quarantined": 0} == settled.result
    assert [0, 1, 2, 3] == written(child)


def test_job_under_way_is_kept_in_the_outbox(child: Child) -> None:
    """What came straight through Redis comes again by the outbox should Redis forget it."""
    run(child, steps=4, waits_at=2)
    ((body, delay),) = query(
        child.pool.url, "SELECT body, extract(epoch FROM run_at - now())::int FROM celeriac.outbox"
    )
    assert 3_500 < delay <= 3_600

    STEPPING.may_pass = True
    (settled,) = settle(child, Delivery("j", TASK, body.encode(), is_relayed=True)).values()

    assert (Fate.COMMITTED, [0, 1, 2, 3]) == (settled.fate, written(child))
    assert [] == query(child.pool.url, "SELECT id FROM celeriac.outbox")


@pytest.mark.parametrize("cancelled", ["revoked", None])
def test_job_that_ended_is_not_in_the_outbox(child: Child, cancelled: str | None) -> None:
    """Cancelled or dead, it does not come again."""
    payload = {"steps": 4, "waits_at": 2, "fails_at": 3}
    run(child, **payload)

    STEPPING.may_pass = True
    ended = run(child, cancelled=cancelled, **payload)

    assert ended.fate in (Fate.CANCELLED, Fate.DEAD)
    assert [] == query(child.pool.url, "SELECT id FROM celeriac.outbox")


def test_failing_job_keeps_its_steps(child: Child) -> None:
    """A job that raises is buried with the reason; the rows of its steps stay and are counted."""
    settled = run(child, steps=4, fails_at=2)

    assert Fate.DEAD == settled.fate
    assert [0, 1] == written(child)
    state, rows, inserted, error = entry(child)
    assert ("dead", 2, 2) == (state, rows, inserted)
    assert "ValueError: it failed" in str(error)


def test_step_that_says_nothing_is_a_mistake(child: Child) -> None:
    """A step that does not say where it moved to is undone, and its job buried."""
    settled = run(child, steps=2, forgets_at=1)

    assert "a step must say where it moved to" in str(settled.error)
    assert [0] == written(child)


def test_second_run_waits_for_a_living_one(child: Child) -> None:
    """While another session runs the job it is not claimed; once that is gone it goes on."""
    run(child, steps=2, waits_at=1)
    with closing(psycopg2.connect(child.pool.url)) as other:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(1667591270, hashtext('j'))")
            assert [(True,)] == cursor.fetchall()

        taken = run(child, steps=2, waits_at=1)

        assert (Fate.TAKEN, "job 'j' runs in another process") == (taken.fate, taken.error)

    STEPPING.may_pass = True
    # A session ends a moment after its client has closed it.
    wait_for(lambda: run(child, steps=2, waits_at=1).fate is Fate.COMMITTED, what="its end")


def test_silent_run_is_ended(child: Child, database: str) -> None:
    """A session that holds the job and says nothing for too long is ended by the next run."""
    hasty = Session(dead_peer_seconds=0)
    with closing(psycopg2.connect(database)) as silent:
        with silent.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(1667591270, hashtext('j'))")
        with child_on(database, kinds=[KIND], catalog=depot.CATALOG, session=hasty) as other:
            assert Fate.TAKEN == run(other, steps=1).fate
            wait_for(lambda: run(other, steps=1).fate is Fate.COMMITTED, what="the job to go on")


def test_working_run_is_not_ended(child: Child, database: str) -> None:
    """A session whose statement takes long works: the next run waits for it."""
    hasty = Session(dead_peer_seconds=0)
    with closing(psycopg2.connect(database)) as working, ThreadPoolExecutor(1) as pool:
        cursor = working.cursor()
        cursor.execute("SELECT pg_try_advisory_lock(1667591270, hashtext('j'))")
        statement = pool.submit(cursor.execute, "SELECT pg_sleep(60)")
        asleep = (
            "SELECT pid FROM pg_stat_activity"
            " WHERE wait_event = 'PgSleep' AND datname = current_database()"
        )
        wait_for(lambda: query(database, asleep), what="the statement to run")

        with child_on(database, kinds=[KIND], catalog=depot.CATALOG, session=hasty) as other:
            taken = run(other, steps=1)
        working.cancel()

        assert Fate.TAKEN == taken.fate
        assert isinstance(statement.exception(), QueryCanceled), "its session was ended"


def test_overtaken_run_writes_nothing(child: Child, database: str) -> None:
    """Of two runs of a job the one that began last goes on; a step of the other is undone."""
    run(child, steps=3, waits_at=1)
    with closing(psycopg2.connect(database)) as early, closing(psycopg2.connect(database)) as late:
        old = steps_of(child, "old", early)
        new = steps_of(child, "new", late)

        with pytest.raises(Overtaken):
            take(old, 7)

        take(new, 1)
        take(new, 2)
    assert [0, 1, 2] == written(child)


def test_step_counts_once(child: Child, database: str) -> None:
    """Two processes with one run's name, as after a copy of memory, cannot take one step twice."""
    run(child, steps=3, waits_at=1)
    with closing(psycopg2.connect(database)) as one, closing(psycopg2.connect(database)) as two:
        first, second = steps_of(child, "same", one), steps_of(child, "same", two)
        take(first, 1)

        with pytest.raises(Overtaken):
            take(second, 8)

    assert [0, 1] == written(child)


def test_job_that_ended_takes_no_step(child: Child, database: str) -> None:
    """A job that was cancelled under way stays as it was then, with what it had done."""
    run(child, steps=3, waits_at=1)
    with closing(psycopg2.connect(database)) as connection:
        steps = steps_of(child, "late", connection)
        cancelled = run(child, steps=3, waits_at=1, cancelled="revoked")

        with pytest.raises(Overtaken):
            take(steps, 1)

    assert (Fate.CANCELLED, [0]) == (cancelled.fate, written(child))
    assert ("cancelled", 1, 1, "revoked") == entry(child)


def test_expiry_is_for_jobs_that_did_not_begin(child: Child) -> None:
    """A job that began in time goes on after its time is over; one that did not is cancelled."""
    run(child, steps=2, waits_at=1)
    STEPPING.may_pass = True

    begun = run(child, steps=2, waits_at=1, cancelled="expired at noon")
    new = run(child, "late", steps=2, cancelled="expired at noon")

    assert (Fate.COMMITTED, Fate.CANCELLED) == (begun.fate, new.fate)


def test_held_subject_stops_the_job(child: Child) -> None:
    """A hold under way holds the job with what it has done; resumed, it goes on from there."""
    run(child, steps=3, waits_at=1)
    query(child.pool.url, "INSERT INTO celeriac.target_hold VALUES ('stepping', 'by hand')")
    STEPPING.may_pass = True

    held = run(child, steps=3, waits_at=1)
    assert (Fate.HELD, "by hand", [0]) == (held.fate, held.error, written(child))
    assert ("held", 1, 1, "by hand") == entry(child)

    query(child.pool.url, "DELETE FROM celeriac.target_hold")
    assert {"rows": 3, "inserted": 3, "quarantined": 0} == run(child, steps=3, waits_at=1).result


def test_stopping_worker_gets_the_job_back(child: Child) -> None:
    """When the worker stops, a job ends between steps and is given back, not held or buried."""
    child.signals.stop()

    settled = run(child, steps=3)

    assert (Fate.GIVEN_BACK, []) == (settled.fate, written(child))
    assert ("working", 0, 0, None) == entry(child)


def test_progress_is_told_once_a_second(child: Child, database: str) -> None:
    """However many steps there are, people are told no oftener; speed is that of this run."""
    run(child, steps=9, waits_at=1)
    told: list[Progress] = []
    clock = iter([100.0, 100.5, 100.9, 101.4, 101.6]).__next__
    with closing(psycopg2.connect(database)) as connection:
        with transaction_on(connection) as cursor:
            place = begin_run("j", "run", cursor)
        steps = Steps(
            "j", "run", place, connection, tell=told.append, is_stopping=lambda: False, clock=clock
        )
        for number in range(1, 5):
            with steps.step() as step:
                step.move(number, Counts(inserted=10), done_bytes=number * 10, total_bytes=100)

    assert [(11, 20), (41, 25)] == [(one.rows, round(one.rows_per_second)) for one in told]
    assert [4.5, 2.4] == [round(one.remaining_seconds or 0, 1) for one in told]
