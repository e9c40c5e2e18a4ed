"""What follows a group is enqueued in the commit of its last job, once, whatever happens."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from celeriac import outbox
from celeriac.contract import GROUP
from postgres.purge import Horizon, purge
from postgres.session import Session
from postgres.transaction import transaction
from tests.integration import depot
from tests.integration.batches import INGEST, body_of, child_on, settle, settle_each
from tests.integration.shelf import in_the_outbox
from tests.integration.shop import create_tables, query
from tests.waiting import wait_for
from worker.child import Child
from worker.delivery import Delivery, Fate
from worker.redrive import Operator, redrive

THEN = {"task": INGEST, "kwargs": {"target": "beta", "rows": [{"n": 0}]}}
PATIENT = Session(lock_seconds=20, statement_seconds=20)


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def child(database: str) -> Iterator[Child]:
    """A child process's belongings, on the shop's tables."""
    create_tables(database)
    with child_on(database, session=PATIENT) as child:
        yield child


def group(size: int, **changes: Any) -> dict[str, Any]:
    """Return what a message says of its group."""
    return {"id": "g", "size": size, "then": THEN} | changes


def member(number: int, said: Any, target: str = "alpha", **more: Any) -> Delivery:
    """Make the delivery of one job of a group, of one row."""
    kwargs = {"target": target, "rows": [{"n": number}]}
    return Delivery(f"g:{number}", INGEST, body_of(kwargs, **{GROUP: said}), **more)


def members(size: int, *numbers: int) -> list[Delivery]:
    """Make the deliveries of some jobs of a group."""
    return [member(number, group(size)) for number in numbers]


def follows(database: str) -> list[tuple[str, str, Any]]:
    """Return id, task and arguments of what waits in the outbox."""
    found = query(database, "SELECT id, task, body FROM celeriac.outbox ORDER BY number")
    return [(id_, task, json.loads(body)[1]) for id_, task, body in found]


def standing(database: str) -> list[tuple[Any, ...]]:
    """Return size, done, and whether it is said to be done, of each group."""
    return query(database, "SELECT size, done, done_at IS NOT NULL FROM celeriac.job_group")


FOLLOWS = [("g:then", INGEST, THEN["kwargs"])]


def test_the_last_job_brings_what_follows(child: Child, database: str) -> None:
    """Counted over several batches, the group is complete with its last job and not before."""
    settle(child, *members(5, 1, 2))
    settle(child, *members(5, 3, 4))
    assert ([], [(5, 4, False)]) == (follows(database), standing(database))

    settled = settle(child, *members(5, 5))

    assert Fate.COMMITTED == settled["g:5"].fate
    assert (FOLLOWS, [(5, 5, True)]) == (follows(database), standing(database))


def test_what_follows_runs(child: Child, database: str) -> None:
    """The body that the outbox got is one that workers take."""
    settle(child, *members(2, 1, 2))

    settled = settle(child, *in_the_outbox(database))

    assert {"g:then": Fate.COMMITTED} == {id_: one.fate for id_, one in settled.items()}
    assert [(1,)] == query(database, "SELECT count(*) FROM shop.beta")


def test_a_job_that_comes_again_counts_once(child: Child, database: str) -> None:
    """Twice in a batch, or again after its commit, a job is one; nothing follows twice."""
    settle(child, *members(2, 1, 1))
    settle(child, *members(2, 1))
    assert [(2, 1, False)] == standing(database)
    settle(child, *members(2, 2))
    query(database, "DELETE FROM celeriac.outbox")

    settle(child, *members(2, 1, 2))

    assert ([], [(2, 2, True)]) == (follows(database), standing(database))


@pytest.mark.parametrize("done_before", [0, 1])
def test_the_last_two_commit_at_once(child: Child, database: str, done_before: int) -> None:
    """Two transactions that each think themselves not the last: one of them is, and only one."""
    for one in members(done_before + 2, *range(3, 3 + done_before)):
        settle(child, one)

    with child_on(database, session=PATIENT) as other, holding_up(database) as release:
        runs = [
            threading.Thread(target=settle, args=(one, *members(done_before + 2, number)))
            for number, one in enumerate((child, other), start=1)
        ]
        for run in runs:
            run.start()
        wait_for(lambda: waiting(database) == 2, what="both to wait")
        release()
        for run in runs:
            run.join()

    size = done_before + 2
    assert (FOLLOWS, [(size, size, True)]) == (follows(database), standing(database))


@contextmanager
def holding_up(database: str) -> Iterator[Any]:
    """Let nobody count in a group until the release."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE celeriac.job_group IN SHARE MODE")
        yield connection.commit


def waiting(database: str) -> int:
    """Count the sessions of this database that wait for a lock."""
    text = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
    return int(query(database, text)[0][0])


def test_a_dead_job_keeps_the_group_waiting(child: Child, database: str) -> None:
    """Redriven as it came or with other arguments, it still belongs to its group."""
    settle(child, member(1, group(3), buried="it killed 3 processes"))
    settle(child, member(2, group(3), target="nowhere"))
    settle(child, *members(3, 3))
    assert ([], [(3, 1, False)]) == (follows(database), standing(database))

    operator = Operator("tester", datetime.now(UTC))
    redrive("g:1", None, child.kinds, operator, child.pool)
    edited = json.dumps({"target": "alpha", "rows": [{"n": 2}]})
    redrive("g:2", edited, child.kinds, operator, child.pool)
    redriven = in_the_outbox(database)
    query(database, "DELETE FROM celeriac.outbox")
    settle(child, *redriven)

    assert (FOLLOWS, [(3, 3, True)]) == (follows(database), standing(database))


def test_a_held_job_counts_when_it_is_resumed(child: Child, database: str) -> None:
    """While its target is closed the group waits."""
    query(database, "INSERT INTO celeriac.target_hold VALUES ('alpha', 'closed by hand')")
    settled = settle(child, *members(1, 1))
    assert (Fate.HELD, [], []) == (settled["g:1"].fate, follows(database), standing(database))

    query(database, "DELETE FROM celeriac.target_hold")
    settle(child, *members(1, 1))

    assert FOLLOWS == follows(database)


def test_a_cancelled_job_never_counts(child: Child, database: str) -> None:
    """What did not run did not commit."""
    settle(child, *members(2, 1), member(2, group(2), cancelled="revoked"))

    assert ([], [(2, 1, False)]) == (follows(database), standing(database))


def test_a_bad_row_does_not_keep_the_group_waiting(child: Child, database: str) -> None:
    """A job with quarantined rows has committed, and counts."""
    kwargs = {"target": "item", "rows": [{"id": 1, "name": None}]}
    body = body_of(kwargs, (), **{GROUP: group(1)})

    settle(child, Delivery("g:1", INGEST, body))

    assert [(1,)] == query(database, "SELECT quarantined FROM celeriac.job")
    assert FOLLOWS == follows(database)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (group(9), "has 2 jobs and a continuation"),
        (group(2, then=THEN | {"id": "another"}), "has 2 jobs and a continuation"),
        (group(2), "group 'g' has its 2 jobs already"),
        (group(0), "group: Expected `int` >= 1"),
        ({"id": "g", "size": 2}, "group: Object missing required field `then`"),
        (group(2, id="x" * 196), "group: ids must be printable and at most 195 characters"),
        (group(2, then=THEN | {"kwargs": [1]}), "group: Expected `object`, got `array`"),
        (group(2, then=THEN | {"kwargs": {"rows": "x" * 8192}}), "at most 8192 bytes of kwargs"),
        ("g", "group: Expected `object`, got `str`"),
    ],
)
def test_a_job_that_does_not_fit_is_buried(
    child: Child, database: str, said: Any, words: str
) -> None:
    """Jobs of a group say the same of it; one that does not is dead, and spares the others."""
    settle(child, *members(2, 1, 2))

    dead, good = settle_each(child, member(3, said), member(4, None))

    assert (Fate.DEAD, Fate.COMMITTED) == (dead.fate, good.fate)
    assert words in str(dead.error)
    assert (FOLLOWS, [(2, 2, True)]) == (follows(database), standing(database))


def test_jobs_that_differ_meet_in_a_batch(child: Child, database: str) -> None:
    """The first one's word counts, and so many jobs as it says."""
    batch = [
        *members(2, 1),
        member(2, group(3)),
        *members(2, 3, 4),
        member(5, group(1, id="h")),
    ]

    settled = settle_each(child, *batch)

    fates = [str(one.fate) for one in settled]
    assert ["committed", "dead", "committed", "dead", "committed"] == fates
    assert ["g:then", "h:then"] == sorted(id_ for id_, *_ in follows(database))


def test_a_group_that_changes_under_a_job(child: Child, database: str) -> None:
    """A job whose group became another while it ran is undone, and then buried."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO celeriac.job_group VALUES ('g', 7, 1, 'celeriac.ingest', 'o', '\\x00')"
        )
        run = threading.Thread(target=settle, args=(child, *members(2, 1)))
        run.start()
        wait_for(lambda: waiting(database) == 1, what="the job to wait")
        connection.commit()
        run.join()

    assert [("dead", 0)] == query(database, "SELECT state, inserted FROM celeriac.job")
    assert [(0,)] == query(database, "SELECT count(*) FROM shop.alpha")


def test_a_refused_batch_counts_nothing(child: Child, database: str) -> None:
    """What is undone with a transaction is undone in the group too: jobs count as they commit."""
    query(database, "ALTER TABLE celeriac.outbox ADD CONSTRAINT no CHECK (id <> 'g:then')")

    settled = settle(child, *members(1, 1))

    assert (Fate.COMMITTED != settled["g:1"].fate, []) == (True, standing(database))
    assert [(0,)] == query(database, "SELECT count(*) FROM shop.alpha")


def test_files_count_with_their_last_commit(database: str, tmp_path: Path) -> None:
    """File jobs are counted when all their chunks are in; one that fails is not."""
    depot.create_tables(database)
    file = depot.write_csv(tmp_path / "a.csv", depot.parcels(250))
    other = depot.write_csv(tmp_path / "b.csv", depot.parcels(0), header="nonsense")
    said = group(2)

    with child_on(database, catalog=depot.CATALOG, inbox=tmp_path, session=PATIENT) as child:
        for number, path in enumerate((file, other), start=1):
            body = body_of(depot.arguments("parcel", path), (), **{GROUP: said})
            settle(child, Delivery(f"g:{number}", depot.TASK, body))
        assert ([], [(2, 1, False)]) == (follows(database), standing(database))
        depot.write_csv(other, [(n, 1, "x") for n in range(1000, 1100)])
        redrive("g:2", None, child.kinds, Operator("tester", datetime.now(UTC)), child.pool)
        redriven = in_the_outbox(database)
        query(database, "DELETE FROM celeriac.outbox")
        settle(child, *redriven)

    assert (FOLLOWS, [(2, 2, True)]) == (follows(database), standing(database))


def test_a_group_rolled_back_never_was(child: Child, database: str) -> None:
    """A group of the outbox is there with its transaction, or not at all."""
    with closing(psycopg2.connect(database)) as connection:
        for end in (connection.rollback, connection.commit):
            together = outbox(connection).group(id="g")
            together.ingest("alpha", [{"n": 1}])
            together.ingest_file("alpha", "file.csv")
            assert "g:then" == together.then_report("sold")
            end()
            expected = [] if end == connection.rollback else [("g:1",), ("g:2",)]
            assert expected == query(database, "SELECT id FROM celeriac.outbox ORDER BY number")

    ((options,),) = query(database, "SELECT options FROM celeriac.outbox WHERE id = 'g:1'")
    then = {"task": "celeriac.report", "kwargs": {"name": "sold"}}
    assert {"track": False, "group": {"id": "g", "size": 2, "then": then}} == options


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("1", "group must be an object with id, size and then, got 1"),
        ('{"id": "g", "size": 2}', "group must be an object with id, size and then"),
        ('{"id": "g", "size": 0, "then": {"task": "own", "kwargs": {}}}', "size must be 1 to"),
        ('{"id": "g", "size": 1.5, "then": {"task": "own", "kwargs": {}}}', "size must be 1 to"),
        ('{"id": "g", "then": {"task": "own", "kwargs": {}}}', "size must be 1 to 100000, got not"),
        ('{"size": 1, "then": {"task": "own", "kwargs": {}}}', "id must be text"),
        ('{"id": "g", "size": 1, "then": {"kwargs": {}}}', "task must be text"),
        ('{"id": "g", "size": 1, "then": {"task": "own", "kwargs": 1}}', "kwargs must be an obj"),
        ('{"id": "g", "size": 1, "more": 1, "then": {}}', "group takes id, size, then"),
    ],
)
def test_sql_refuses_a_group_that_no_worker_takes(database: str, said: str, words: str) -> None:
    """The refusal names field, value and limit, before anything is enqueued."""
    call = "SELECT celeriac.enqueue('own', '{}', options => jsonb_build_object('group', %s::jsonb))"

    with pytest.raises(psycopg2.errors.InvalidParameterValue, match=words):
        query(database, call, (said,))


def test_groups_leave_with_the_dedupe_horizon(child: Child, database: str) -> None:
    """A group that was done long ago is forgotten; an open one stays, however old."""
    settle(child, *members(1, 1), member(2, group(2, id="open")))
    query(database, "UPDATE celeriac.job_group SET done_at = done_at - interval '40 days'")

    with transaction(child.pool) as cursor:
        purge(Horizon(keep_days=30), 0, cursor)

    assert [(2, 1, False)] == standing(database)
