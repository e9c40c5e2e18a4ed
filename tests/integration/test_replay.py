"""Quarantined rows go again through the outbox, and into their target once."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from celeriac.contract import INGEST
from postgres.holds import hold, release
from postgres.pool import Pool, PoolLimits
from postgres.quarantined import Selection
from postgres.replay import close_ended_replays, is_replay
from postgres.session import Session
from postgres.transaction import transaction
from tests.integration.batches import body_of, child_on, settle
from tests.integration.shelf import (
    GOOD,
    entries,
    in_the_outbox,
    items,
    job_state,
    relay_to,
    replay_all,
    set_aside,
    states,
)
from tests.integration.shop import create_tables, query
from tests.waiting import wait_for
from worker.child import Child
from worker.commands.replaying import replay_file, replay_selected
from worker.delivery import Delivery, Fate, Remarks
from worker.redrive import Operator, discard

TAKE = """
    UPDATE celeriac.quarantine SET state = 'replaying', replay_job = 'x', replay_row = id
"""
PEN = '{"id": 2, "name": "pen", "price": 1}'
NIB = '{"id": 3, "name": "nib", "price": 0.10}'


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def child(database: str) -> Iterator[Child]:
    """A child process's belongings, on the shop's tables with two rows in quarantine."""
    create_tables(database)
    with child_on(database) as child:
        set_aside(child)
        yield child


def test_edited_rows_are_committed_and_close_their_entries(child: Child, database: str) -> None:
    """A replay's rows go into the target, and its entries are closed in the same transaction."""
    done = replay_all(child.pool, e1=PEN, e2=NIB)
    assert (1, 2, []) == (done.jobs, done.rows, done.taken)
    assert ["replaying", "replaying"] == states(database)

    relay_to(child, database)

    assert ["replayed", "replayed"] == states(database)
    assert [1, 2, 3] == [id_ for id_, *_ in items(database)]
    written = (
        "SELECT i.xact FROM shop.item i JOIN celeriac.job j ON j.batch = i.xact WHERE i.id > 1"
    )
    assert 2 == len(query(database, written))


def test_row_refused_again_is_a_new_entry_that_points_back(child: Child, database: str) -> None:
    """The old entry is superseded, the new one waits in its place; the good row is closed."""
    replay_all(child.pool, e1=PEN)
    relay_to(child, database)

    ((replay_job,),) = query(database, "SELECT replay_job FROM celeriac.quarantine WHERE id = 1")
    assert [
        (1, "replayed", "came", 2, None),
        (2, "superseded", "came", 3, None),
        (3, "quarantined", replay_job, 2, 2),
    ] == entries(database)


def test_replay_run_twice_has_one_effect(child: Child, database: str) -> None:
    """What a replay took is not there for the next one."""
    replay_all(child.pool, e1=PEN, e2=NIB)
    again = replay_all(child.pool, e1=PEN, e2=NIB)

    assert (0, 0) == (again.jobs, again.rows)
    assert 1 == len(in_the_outbox(database))


def test_two_operators_at_once(child: Child, database: str) -> None:
    """Of two operators who chose the same rows, the second learns that they are taken."""
    taken: list[object] = []
    other = Pool(database, PoolLimits(1), Session(lock_seconds=20, statement_seconds=30))

    def second() -> None:
        taken.append(replay_all(other, e1=PEN, e2=NIB))

    with closing(psycopg2.connect(database)) as first:
        with first.cursor() as cursor:
            cursor.execute("SELECT id FROM celeriac.quarantine FOR UPDATE")
            thread = threading.Thread(target=second)
            thread.start()
            blocked = (
                "SELECT 1 FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            wait_for(lambda: query(database, blocked), what="the second operator to wait")
            cursor.execute(TAKE)
        first.commit()
        thread.join(60)
    other.close()

    (done,) = taken
    assert (0, 0, [1, 2]) == (done.jobs, done.rows, done.taken)
    assert [] == in_the_outbox(database)


def test_replay_job_delivered_twice_has_one_effect(child: Child, database: str) -> None:
    """A redelivery is settled from the ledger."""
    replay_all(child.pool, e1=PEN, e2=NIB)
    deliveries = in_the_outbox(database)

    fates = [settle(child, *deliveries)[deliveries[0].id].fate for _ in range(2)]

    assert [Fate.COMMITTED, Fate.COMMITTED] == fates
    assert 3 == len(items(database))


def test_replay_that_the_ledger_forgot_does_not_run_again(child: Child, database: str) -> None:
    """Delivered after its ledger row was purged, a replay finds nothing that waits for it."""
    rows = '{"n": 7}'
    settle(child, Delivery("odd", INGEST, body_of({"target": "alpha", "rows": [{"n": "x"}]})))
    replay_all(child.pool, e1=PEN, e2=NIB, e3=rows)
    deliveries = in_the_outbox(database)
    settle(child, *deliveries)
    query(database, "DELETE FROM celeriac.job WHERE id LIKE 'celeriac.replay-%'")

    settled = settle(child, *deliveries)

    assert {Fate.DEAD} == {one.fate for one in settled.values()}
    assert [(7,)] == query(database, "SELECT n FROM shop.alpha")
    assert {"replayed"} == set(states(database))


def test_forged_replay_is_buried(child: Child, database: str) -> None:
    """A job that calls itself a replay and is none writes nothing."""
    forged = Delivery(
        "celeriac.replay-mine", INGEST, body_of({"target": "alpha", "rows": [{"n": 1}]})
    )
    (settled,) = settle(child, forged).values()

    assert (Fate.DEAD, True) == (settled.fate, is_replay(settled.id))
    assert "no rows that wait for this replay" in str(settled.error)
    assert [] == query(database, "SELECT n FROM shop.alpha")


@pytest.mark.parametrize(
    "remarks", [Remarks(buried="killed 3 processes"), Remarks(cancelled="revoked")]
)
def test_replay_that_ends_without_effect_gives_its_rows_back(
    child: Child, database: str, remarks: Remarks
) -> None:
    """Entries of a replay that was buried or cancelled wait again, and can be replayed again."""
    replay_all(child.pool, e1=PEN, e2=NIB)
    (job,) = in_the_outbox(database)
    settle(
        child,
        Delivery(job.id, job.task, job.body, buried=remarks.buried, cancelled=remarks.cancelled),
    )
    assert ["quarantined", "quarantined"] == states(database)

    replay_all(child.pool, e1=PEN, e2=NIB)
    relay_to(child, database)

    assert ["replayed", "replayed"] == states(database)
    assert 3 == len(items(database))


def test_replay_waits_with_its_held_target(child: Child, database: str) -> None:
    """A held replay keeps its entries; discarded, it gives them back."""
    with transaction(child.pool) as cursor:
        hold("item", "by the test", cursor)
    replay_all(child.pool)
    (job,) = in_the_outbox(database)
    relay_to(child, database)
    assert ("held", ["replaying"] * 2) == (job_state(database, job.id), states(database))

    assert discard(job.id, operator(database), child.pool)

    assert ("cancelled", ["quarantined"] * 2) == (job_state(database, job.id), states(database))
    with transaction(child.pool) as cursor:
        release("item", cursor)
    assert {Fate.CANCELLED} == {one.fate for one in settle(child, job).values()}


def test_entries_follow_what_others_made_of_their_job(child: Child, database: str) -> None:
    """A replay that was cancelled by SQL gives its entries back when somebody looks after them."""
    replay_all(child.pool)
    (job,) = in_the_outbox(database)
    query(database, "SELECT celeriac.cancel(%s)", (job.id,))
    assert ["replaying", "replaying"] == states(database)

    with transaction(child.pool) as cursor:
        assert 2 == close_ended_replays(cursor)

    assert ["quarantined", "quarantined"] == states(database)


def test_replay_goes_beside_ordinary_jobs(child: Child, database: str) -> None:
    """In one batch with a replay, others commit as ever."""
    replay_all(child.pool, e1=PEN, e2=NIB)
    good = {**GOOD, "id": 9}
    batch = [
        Delivery("new", INGEST, body_of({"target": "item", "rows": [good]})),
        *in_the_outbox(database),
    ]

    assert {Fate.COMMITTED} == {one.fate for one in settle(child, *batch).values()}
    assert [1, 2, 3, 9] == [id_ for id_, *_ in items(database)]


def test_marked_entry_is_not_marked_twice(child: Child, database: str) -> None:
    """Two entries cannot have the same place of one replay."""
    with pytest.raises(psycopg2.errors.UniqueViolation):
        query(
            database,
            "UPDATE celeriac.quarantine SET state = 'replaying', replay_job = 'x', replay_row = 1",
        )


def test_redacted_row_needs_its_values_back(
    child: Child, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A masked value reaches neither the quarantine nor, by a replay as it is, the target."""
    hidden = '[item]\ntable = "shop.item"\nkey = ["id"]\nredact = ["name", "price"]\n'
    (tmp_path / "targets.toml").write_text(hidden)
    query(database, "DELETE FROM celeriac.quarantine")
    with child_on(database, catalog=tmp_path) as secretive:
        set_aside(secretive, "secret", [{"id": 4, "name": "ann", "price": "dear"}])
    ((row, message),) = query(database, "SELECT row::text, message FROM celeriac.quarantine")
    assert ("dear" in row, "dear" in message, "ann" in row) == (False, False, False)

    waiting = Selection(states=["quarantined"])
    status = replay_selected(waiting, child.pool, ask=False, dry_run=False)
    ((id_,),) = query(database, "SELECT id FROM celeriac.quarantine")
    assert (1, "name, price is redacted" in capsys.readouterr().err) == (status, True)
    assert [] == in_the_outbox(database)

    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"id": {id_}, "row": {{"id": 4, "name": "ann", "price": 1}}}}')
    assert 0 == replay_file(file, "jsonl", child.pool, dry_run=False)
    relay_to(child, database)
    assert [(1, "ink", 2), (4, "ann", 1)] == items(database)


def operator(database: str) -> Operator:
    """Somebody, at the database's time."""
    ((now,),) = query(database, "SELECT now()")
    return Operator("tester", now)
