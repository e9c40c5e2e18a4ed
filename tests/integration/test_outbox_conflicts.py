"""One id, two payloads: the first stays in the outbox, the other one is buried with words."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from postgres.outbox import Entry, enqueue, remove_kept
from tests.integration.batches import INGEST, body_of, child_on, deliver, parcel_of, settle
from tests.integration.batches import settlement_of as settlement
from tests.integration.shelf import GOOD, in_the_outbox, items, job_state, relay_to
from tests.integration.shop import create_tables, query
from worker.attempt import attempt
from worker.child import Child
from worker.delivery import Delivery, Fate, Parcel
from worker.postpone import postpone
from worker.redrive import Operator, redrive
from worker.waiting import POSTPONED

OTHER = {**GOOD, "price": 3}


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


def park(child: Child, *jobs: tuple[str, bytes]) -> list[Fate]:
    """Have messages wait in the outbox, as a child does; return how they are settled, in order."""
    run_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    kept = [
        json.dumps({"task": INGEST, "body": body.decode(), "run_at": run_at, "options": {}})
        for _, body in jobs
    ]
    parcel = Parcel(POSTPONED, [id_ for id_, _ in jobs], [one.encode() for one in kept])
    answer = postpone(parcel, child)
    return [settlement(answer, parcel, place).fate for place in range(len(jobs))]


def body(*rows: object) -> bytes:
    return body_of({"target": "item", "rows": rows})


def test_a_parked_message_with_another_payload_is_buried(child: Child, database: str) -> None:
    """It has the id of one that waits already: nothing of it is lost without a word."""
    by_name, by_place = body(GOOD), body_of({}, ["item", [GOOD]])

    first = park(child, ("j", by_name))
    rest = park(child, ("j", by_name), ("j", by_place), ("j", body(OTHER)), ("k", body(OTHER)))
    again = park(child, ("j", body(OTHER)))

    assert [Fate.POSTPONED] == first
    assert [Fate.POSTPONED, Fate.POSTPONED, Fate.CONFLICT, Fate.POSTPONED] == rest
    assert [Fate.CONFLICT] == again
    assert {"j": by_name, "k": body(OTHER)} == {one.id: one.body for one in in_the_outbox(database)}
    ((id_, state, error, payload),) = query(
        database, "SELECT id, state, error, payload FROM celeriac.job"
    )
    assert (True, "dead", body(OTHER).decode()) == (id_.startswith("j!"), state, payload)
    assert "used before, with another payload: the first stays" in error


def test_a_parked_message_meets_one_that_came_by_sql(child: Child, database: str) -> None:
    """What SQL enqueued under the id is the same job if its payload reads the same."""
    text = "SELECT celeriac.enqueue('celeriac.ingest', %s, now() + interval '1 hour', 'j')"
    query(database, text, (json.dumps({"target": "item", "rows": [{"id": 1}]}),))
    ((kwargs,),) = query(database, "SELECT kwargs::text FROM celeriac.outbox")
    as_relayed = f"[[], {kwargs}, {{}}]".encode()

    fates = park(child, ("j", as_relayed), ("j", body(OTHER)))

    assert [Fate.POSTPONED, Fate.CONFLICT] == fates


def test_a_conflict_leaves_the_outbox_to_the_job_that_waits(child: Child, database: str) -> None:
    """An edited job is still there after the message that it was before came once more."""
    first = deliver("sick", "itme", [GOOD])
    settle(child, first)
    ((now,),) = query(database, "SELECT now()")
    edited = json.dumps({"target": "item", "rows": [OTHER]})
    redrive("sick", edited, child.kinds, Operator("tester", now), child.pool)

    stray = deliver_relayed(child, first)

    assert Fate.CONFLICT == stray
    assert ["sick"] == [one.id for one in in_the_outbox(database)]
    relay_to(child, database)
    assert [(1, "ink", 3)] == items(database)


def test_a_conflict_with_what_ended_leaves_the_outbox(child: Child, database: str) -> None:
    """Where the first one has ended, the other payload does not stay behind."""
    settle(child, deliver("done", "item", [GOOD]))
    text = "SELECT celeriac.enqueue('celeriac.ingest', %s, id => 'done')"
    query(database, text, (json.dumps({"target": "item", "rows": [OTHER]}),))

    stray = deliver_relayed(child, deliver("done", "item", [OTHER]))

    assert (Fate.CONFLICT, []) == (stray, query(database, "SELECT id FROM celeriac.outbox"))
    assert "committed" == job_state(database, "done")


def deliver_relayed(child: Child, job: Delivery) -> Fate:
    """Run a job alone, as one that came by the outbox."""
    parcel = replace(parcel_of([job]), relayed={0})
    return settlement(attempt(parcel, child), parcel, 0).fate


def test_the_end_of_a_job_leaves_anothers_entry(database: str) -> None:
    """What was kept lest it be lost goes by id and body; another payload of the id stays."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        enqueue([Entry("j", INGEST, "theirs"), Entry("k", INGEST, "ours")], cursor)

        remove_kept([("j", "ours"), ("k", "ours")], cursor)

        cursor.execute("SELECT id, body FROM celeriac.outbox")
        assert [("j", "theirs")] == cursor.fetchall()
