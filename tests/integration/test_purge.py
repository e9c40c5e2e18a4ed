"""What ended before the dedupe horizon is forgotten, and nothing else."""

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from postgres.ledger import Ask, Verdict, claim
from postgres.purge import Horizon, Purged, purge
from postgres.transaction import transaction
from tests.integration.batches import careful, child_on, deliver, settle
from tests.integration.shelf import GOOD, set_aside, states
from tests.integration.shop import create_tables, query
from tests.waiting import wait_for
from worker.child import Child

COMMIT_ELSEWHERE = """
    UPDATE celeriac.job SET state = 'committed', error = NULL, payload = NULL, inserted = 1
"""
HORIZON = Horizon(keep_days=30)
AGE = """
    UPDATE celeriac.job SET committed_at = committed_at - interval '40 days',
        set_aside_at = set_aside_at - interval '40 days'
"""
AGE_ENTRIES = """
    UPDATE celeriac.quarantine SET created_at = created_at - interval '40 days',
        closed_at = closed_at - interval '40 days'
"""


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


def sweep(child: Child, horizon: Horizon = HORIZON) -> tuple[int, int]:
    """Purge the whole ledger; return how many jobs and entries went."""
    page, gone = 0, (0, 0)
    while True:
        with transaction(child.pool) as cursor:
            one: Purged = purge(horizon, page, cursor)
        gone = (gone[0] + one.jobs, gone[1] + one.entries)
        page = one.next_page
        if one.ends_a_sweep:
            return gone


def known(database: str) -> set[str]:
    """Return the ids that the ledger knows."""
    return {id_ for (id_,) in query(database, "SELECT id FROM celeriac.job")}


def test_only_what_ended_long_ago_is_forgotten(child: Child, database: str) -> None:
    """Old committed and cancelled jobs go; dead, held, quarantined and enqueued ones stay."""
    settle(child, deliver("old", "alpha", [{"n": 1}]))
    settle(child, deliver("given up", "alpha", [{"n": 1}], cancelled="revoked"))
    settle(child, deliver("dead", "none", [{"n": 1}]))
    settle(child, deliver("in the outbox", "alpha", [{"n": 1}]))
    set_aside(child, "has bad rows")
    query(database, AGE)
    enqueued = "INSERT INTO celeriac.outbox (id, task, body, run_at) VALUES (%s, 't', '', now())"
    query(database, enqueued, ("in the outbox",))
    settle(child, deliver("new", "alpha", [{"n": 1}]))

    assert (2, 0) == sweep(child)

    assert {"dead", "in the outbox", "has bad rows", "new"} == known(database)


def test_what_old_workers_left_in_the_outbox_goes(child: Child, database: str) -> None:
    """Jobs that were pushed and ended long ago go, wherever they lie; no others do."""
    for id_ in ("left", "fresh", "due", "held"):
        settle(child, deliver(id_, "alpha", [{"n": 1}]))
    settle(child, deliver("given up", "alpha", [{"n": 1}], cancelled="revoked"))
    query(database, AGE)
    query(database, "UPDATE celeriac.job SET committed_at = now() WHERE id = 'fresh'")
    held = "UPDATE celeriac.job SET state = 'held', error = 'x', inserted = 0, committed_at = NULL"
    query(database, f"{held} WHERE id = 'held'")
    enqueued = """
        INSERT INTO celeriac.outbox (id, task, body, run_at, created_at, epoch, push)
        SELECT
            id, 't', repeat('x', 1500), now(), now() - interval '2 hours',
            CASE WHEN is_pushed THEN gen_random_uuid() END, CASE WHEN is_pushed THEN 1 END
        FROM (
            SELECT n::text, false FROM generate_series(1, 1000) AS n
            UNION ALL SELECT 'due', false
            UNION ALL SELECT unnest('{left,given up,fresh,held,unknown}'::text[]), true
        ) AS one (id, is_pushed)
    """
    query(database, enqueued)

    sweep(child)

    left = {id_ for (id_,) in query(database, "SELECT id FROM celeriac.outbox")}
    assert {str(n) for n in range(1, 1001)} | {"fresh", "held", "unknown", "due"} == left


def test_closed_entries_go_and_open_ones_stay(child: Child, database: str) -> None:
    """Open entries are kept for ever, unless a setting says for how long; their job goes after."""
    set_aside(child)
    query(
        database,
        "UPDATE celeriac.quarantine SET state = 'discarded', closed_at = now() WHERE id = 1",
    )
    query(database, AGE)
    query(database, AGE_ENTRIES)

    assert (0, 1) == sweep(child)
    assert ["quarantined"] == states(database)
    assert (1, 1) == sweep(child, Horizon(30, keep_open_days=30))


def test_every_page_of_the_ledger_is_swept(child: Child, database: str) -> None:
    """A sweep goes through the whole ledger, slice by slice, and deletes few at a time."""
    query(
        database,
        """
        INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker, committed_at)
        SELECT n::text, 't', 's', 'committed', 1, '', 'w', now() - interval '31 days'
        FROM generate_series(1, 10000) AS n
        """,
    )
    with transaction(child.pool) as cursor:
        first = purge(HORIZON, 0, cursor)

    assert 0 < first.jobs < 10_000
    assert (10_000 - first.jobs, 0) == sweep(child)


def test_purge_waits_for_nobody(child: Child, database: str) -> None:
    """A job that somebody works with is passed over."""
    settle(child, deliver("old", "alpha", [{"n": 1}]))
    query(database, AGE)
    with closing(psycopg2.connect(database)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM celeriac.job FOR UPDATE")

        assert (0, 0) == sweep(child)


def test_claim_survives_a_row_that_vanishes(child: Child, database: str) -> None:
    """An id whose row is purged while its claim waits for it is claimed as new."""
    settle(child, deliver("old", "alpha", [{"n": 1}]))
    asked = [Ask("old", "celeriac.ingest", "alpha", 0, "00", 1)]
    answers: list[Verdict] = []

    def ask() -> None:
        with transaction(child.pool) as cursor:
            answers.append(claim(asked, "w", cursor)["old"].verdict)

    with closing(psycopg2.connect(database)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM celeriac.job")
            thread = threading.Thread(target=ask)
            thread.start()
            blocked = (
                "SELECT 1 FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            wait_for(lambda: query(database, blocked), what="the claim to wait")
        connection.commit()
        thread.join(60)

    assert [Verdict.CLAIMED] == answers


def test_two_runs_of_a_resumed_job_are_told_the_same(child: Child, database: str) -> None:
    """Who waited for another run of a held job learns that it committed, not that it is held."""
    query(database, "INSERT INTO celeriac.target_hold (target, reason) VALUES ('item', 'test')")
    settle(child, deliver("twice", "item", [GOOD]))
    query(database, "DELETE FROM celeriac.target_hold")
    fates: list[str] = []

    def run() -> None:
        again = deliver("twice", "item", [GOOD])
        fates.extend(one.fate for one in settle(careful(child), again).values())

    with closing(psycopg2.connect(database)) as connection:
        with connection.cursor() as cursor:
            # What another worker's transaction does with the row.
            cursor.execute(COMMIT_ELSEWHERE)
            thread = threading.Thread(target=run)
            thread.start()
            blocked = (
                "SELECT 1 FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            wait_for(lambda: query(database, blocked), what="the second run to wait")
        connection.commit()
        thread.join(60)

    assert ["committed"] == fates
