"""The short way: a batch of plain jobs in one statement, to the same end as by the careful way."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from postgres.session import Session
from tests.faults.proxy import FaultProxy
from tests.integration.batches import (
    INGEST,
    body_of,
    careful,
    child_on,
    deliver,
    parcel_of,
    settle,
    settle_each,
    settlement_of,
)
from tests.integration.shop import CATALOG, create_tables, query
from tests.waiting import wait_for
from worker.attempt import attempt
from worker.child import Child
from worker.delivery import Delivery, Fate, Parcel, Settlement
from worker.retry import COLLISIONS

ODD_IDS = [
    *('quo"te', "back\\slash", "apo'strophe", "a,b", "{brace}", "NULL", "null", " blank ", "%s"),
    *("%%", "import-2024-01", "ünïcode", "日本", "\\", '"', "{}", 'a\\"b', "-- no comment", "$1"),
    "x" * 200,
]
LEDGER = """
SELECT id, task, subject, state, rows, inserted, updated, ignored, superseded, quarantined,
       attempts, digest, enqueued_at, worker, result, error, payload
FROM celeriac.job ORDER BY id
"""
EVENTS = """
CREATE TABLE event (
    id bigint NOT NULL,
    note varchar(40),
    amount numeric(14,2),
    flag boolean,
    at timestamptz,
    "odd ""name" text,
    kind text NOT NULL DEFAULT 'made up',
    alone boolean NOT NULL DEFAULT now() = statement_timestamp(),
    xact bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint
)
"""


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """The shop's catalog, a table of plain columns, and a target that updates."""
    shop = (CATALOG / "targets.toml").read_text()
    more = '\n[event]\ntable = "public.event"\n[latest]\ntable = "shop.customer"\nkey = ["id"]\n'
    (tmp_path / "targets.toml").write_text(f'{shop}{more}on_conflict = "update"\n')
    return tmp_path


@pytest.fixture
def child(database: str, catalog: Path) -> Iterator[Child]:
    """A child on the tables of the catalog."""
    create_tables(database)
    query(database, EVENTS)
    with child_on(database, catalog=catalog) as child:
        yield child


def tell(child: Child, text: str, *values: Any) -> list[tuple[Any, ...]]:
    """Ask the child's database."""
    return query(child.pool.url, text, values or None)


def fates(settlements: list[Settlement]) -> list[Fate]:
    return [one.fate for one in settlements]


def assert_accounts_add_up(child: Child, *tables: str) -> None:
    """Every row in the tables is one that the ledger calls inserted, and the other way round."""
    stored = sum(tell(child, f"SELECT count(*) FROM {table}")[0][0] for table in tables)
    ((inserted, quarantined),) = tell(
        child, "SELECT coalesce(sum(inserted), 0), coalesce(sum(quarantined), 0) FROM celeriac.job"
    )
    ((set_aside,),) = tell(child, "SELECT count(*) FROM celeriac.quarantine")
    assert (inserted, quarantined) == (stored, set_aside)


def events(count: int, first: int = 0) -> list[Delivery]:
    return [deliver(f"e-{n:03}", "event", [{"id": n}]) for n in range(first, first + count)]


def test_ordinary_batch_is_one_statement(child: Child) -> None:
    """The transaction begins with the statement that commits it, and nothing follows."""
    settle_each(child, *events(1))

    answer = attempt(parcel_of(events(50, first=1)), child)

    assert ({}, [1] * 50) == (answer.settlements, answer.rows)
    assert [(True,)] == tell(child, "SELECT DISTINCT alone FROM event WHERE id > 0")
    batch = "SELECT count(DISTINCT batch), count(DISTINCT xact) FROM celeriac.job, event"
    assert [(1, 1)] == tell(child, f"{batch} WHERE event.id > 0 AND job.id > 'e-000'")
    last = (
        "SELECT query FROM pg_stat_activity"
        " WHERE application_name = 'celeriac' AND datname = current_database()"
    )
    assert [True] == ["-- Claims and rows" in text for (text,) in tell(child, last)]


def test_ledger_is_the_same_by_either_way(child: Child) -> None:
    """Of all columns but the transaction's number and its time, none tells which way it was."""
    jobs = [
        deliver("b", "alpha", [{"n": 1}, {"n": 2}]),
        deliver("a", "event", [{"id": 1, "note": "ü"}]),
        deliver("ü'\"\\", "item", [{"id": 1, "name": "x", "price": 1.5}]),
    ]

    settlements = settle_each(child, *jobs)
    by_short = tell(child, LEDGER)
    tell(child, "DELETE FROM celeriac.job; DELETE FROM shop.item; DELETE FROM shop.alpha")
    carefully = settle_each(careful(child), *jobs)

    assert by_short == tell(child, LEDGER)
    assert [(one.fate, one.result) for one in carefully] == [
        (one.fate, one.result) for one in settlements
    ]


@pytest.mark.parametrize(
    "row",
    [
        '{"id": 1, "note": "text", "amount": 1.50, "flag": true, "at": "2024-05-01T12:00:00Z"}',
        '{"id": "7", "amount": "1e2", "flag": "yes", "at": "2024-05-01 12:00+02"}',
        '{"id": 1, "note": 1e2}',
        '{"id": 1, "note": -0, "amount": -0.0}',
        '{"id": 1, "note": {"a" : [1, 2.50]}}',
        '{"id": 1, "note": [1,   2]}',
        '{"id": 1, "note": true}',
        '{"id": 1e2, "amount": 1E2}',
        '{"id": -0, "amount": 12345678901.555}',
        '{"id": 1, "flag": 1}',
        '{"id": 1, "at": 20240501}',
        '{"id": 1, "note": "first", "note": "second"}',
        '{"id": 1, "n\\u006fte": "\\u00e9\\n\\t\\\\\\" \'"}',
        '{"id": 1, "note": null, "odd \\"name": "x"}',
        '{ "kind" : "given" , "id" : 1 }',
        '{"id": 1, "note": "%s %% {} $1"}',
    ],
)
def test_values_are_the_same_by_either_way(child: Child, row: str) -> None:
    """Whatever JSON a producer writes, a column gets what it gets by the careful way."""
    body = body_of({"target": "event", "rows": []}).replace(b"[]}", b"[%b]}" % row.encode())
    stored = 'SELECT id, note, amount::text, flag, at, "odd ""name", kind FROM event'

    settle_each(child, Delivery("short", INGEST, body))
    by_short = tell(child, stored)
    tell(child, "TRUNCATE event")
    settle_each(careful(child), Delivery("careful", INGEST, body))

    assert 1 == len(by_short)
    assert by_short == tell(child, stored)


@pytest.mark.parametrize(
    "row",
    [
        '{"job": "j", "ratio": -0.0, "amount": -0.0}',
        '{"job": "j", "extra": {"b" : 1e2, "a": -0}}',
        '{"job": "j", "note": 1e2, "raw": "\\\\x00ff"}',
        '{"job": "j", "clock": "12:00", "local": "2024-05-01T12:00:00Z"}',
    ],
)
def test_other_values_are_the_same_by_either_way(child: Child, row: str) -> None:
    """So do columns of types that read json otherwise than jsonb."""
    body = body_of({"target": "value", "rows": []}).replace(b"[]}", b"[%b]}" % row.encode())
    stored = "SELECT value::text FROM shop.value"

    settle_each(child, Delivery("short", INGEST, body))
    by_short = tell(child, stored)
    tell(child, "TRUNCATE shop.value")
    settle_each(careful(child), Delivery("careful", INGEST, body))

    assert 1 == len(by_short)
    assert by_short == tell(child, stored)


def test_odd_ids(child: Child) -> None:
    """An id is any text; all go the short way together, and come back as they were."""
    jobs = [deliver(id_, "event", [{"id": n}]) for n, id_ in enumerate(ODD_IDS)]

    answer = attempt(parcel_of(jobs), child)

    assert {} == answer.settlements
    assert sorted(ODD_IDS) == [
        id_ for (id_,) in tell(child, "SELECT id FROM celeriac.job ORDER BY id")
    ]
    assert [(True,)] == tell(child, "SELECT DISTINCT alone FROM event")


@pytest.mark.parametrize("id_", ["nul\0", "\ud800", "", "y" * 201])
def test_id_that_cannot_be_stored_is_buried_alone(child: Child, id_: str) -> None:
    """Its neighbours commit by the short way."""
    bad, *others = settle_each(child, deliver(id_, "event", [{"id": 1}]), *events(3))

    assert (Fate.DEAD, [Fate.COMMITTED] * 3) == (bad.fate, fates(others))
    assert_accounts_add_up(child, "event")


def test_bad_row_leaves_nothing_of_the_short_way(child: Child) -> None:
    """One refused row undoes the statement; by the careful way it alone is set aside."""
    jobs = [*events(5), deliver("bad", "event", [{"id": 9}, {"id": "word"}])]

    settlements = settle_each(child, *jobs)

    assert [Fate.COMMITTED] * 6 == fates(settlements)
    assert {"rows": 2, "inserted": 1, "quarantined": 1} == settlements[-1].result
    assert [(6,)] == tell(child, "SELECT count(*) FROM event")
    assert_accounts_add_up(child, "event")


def test_known_jobs_settle_from_the_ledger(child: Child) -> None:
    """A batch of known jobs, new ones and one of another payload: each effect once."""
    settle_each(child, *events(3))
    other = deliver("e-001", "event", [{"id": 77}])

    settlements = settle_each(child, *events(2), *events(2, first=5))
    conflict = settle_each(child, other, *events(1, first=8))

    assert [Fate.COMMITTED] * 4 == fates(settlements)
    assert [Fate.CONFLICT, Fate.COMMITTED] == fates(conflict)
    assert [(0,), (1,), (2,), (5,), (6,), (8,)] == tell(child, "SELECT id FROM event ORDER BY id")
    assert_accounts_add_up(child, "event")


def test_same_job_twice_in_a_parcel(child: Child) -> None:
    """Both are settled as committed, the others by the short way, and its effect is once."""
    jobs = [*events(3), events(1)[0]]

    settlements = settle_each(child, *jobs)

    assert [Fate.COMMITTED] * 4 == fates(settlements)
    assert [(0,), (1,), (2,)] == tell(child, "SELECT id FROM event ORDER BY id")
    assert_accounts_add_up(child, "event")


def test_held_target_takes_nothing(child: Child) -> None:
    """Its jobs are held with the hold's reason; those of other targets commit."""
    tell(child, "INSERT INTO celeriac.target_hold (target, reason) VALUES ('event', 'why')")

    held, other = settle_each(child, *events(1), deliver("j", "alpha", [{"n": 1}]))

    assert (Fate.HELD, "why", "event") == (held.fate, held.error, held.subject)
    assert Fate.COMMITTED is other.fate
    assert [(0,)] == tell(child, "SELECT count(*) FROM event")
    assert_accounts_add_up(child, "event", "shop.alpha")


def test_schema_without_the_function_takes_the_careful_way(
    child: Child, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that is newer than its migrations commits, if not as fast; it says so once."""
    tell(child, "ALTER FUNCTION celeriac.claim_new_jobs RENAME TO claim_later")
    try:
        settled = settle_each(child, *events(1)) + settle_each(child, *events(1, first=1))
    finally:
        tell(child, "ALTER FUNCTION celeriac.claim_later RENAME TO claim_new_jobs")

    assert [Fate.COMMITTED] * 2 == fates(settled)
    assert 1 == caplog.text.count("the function celeriac.claim_new_jobs is missing")
    assert_accounts_add_up(child, "event")


def test_locked_target_names_its_subject(child: Child) -> None:
    """A job that has to wait says for what."""
    with closing(psycopg2.connect(child.pool.url)) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE event")
        late, other = settle_each(child, *events(1), deliver("j", "alpha", [{"n": 1}]))

    assert (Fate.LATER, "event") == (late.fate, late.subject)
    assert Fate.COMMITTED is other.fate


def test_deferred_constraint_refuses_the_whole_statement(child: Child) -> None:
    """It speaks when the statement commits: nothing stays, and the orphan alone is set aside."""
    tell(
        child,
        "CREATE TABLE parent (id bigint PRIMARY KEY);"
        "INSERT INTO parent VALUES (1), (2);"
        "ALTER TABLE event ADD FOREIGN KEY (id) REFERENCES parent (id)"
        " DEFERRABLE INITIALLY DEFERRED",
    )

    settlements = settle_each(child, *events(3, first=1))

    assert [1, 1, 0] == [(one.result or {})["inserted"] for one in settlements]
    assert [(1,), (2,)] == tell(child, "SELECT id FROM event ORDER BY id")
    assert_accounts_add_up(child, "event")


def test_row_that_a_trigger_keeps_out_is_set_aside(child: Child) -> None:
    """What went in is counted: a row lost without an error undoes the statement."""
    tell(
        child,
        "CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN CASE WHEN NEW.id <> 1 THEN NEW END; END';"
        "CREATE TRIGGER keep_out BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION keep_out()",
    )

    settlements = settle_each(child, *events(3))

    assert [1, 0, 1] == [(one.result or {})["inserted"] for one in settlements]
    assert [("CE001",)] == tell(child, "SELECT sqlstate FROM celeriac.quarantine")
    assert_accounts_add_up(child, "event")


def test_what_a_trigger_sets_is_gone_with_the_next_batch(child: Child) -> None:
    """A target's trigger that changes its session's time zone does not move the times after it."""
    # Tables are read in a transaction, which resets the session: not between the two batches.
    settle_each(child, *events(1), deliver("first", "alpha", [{"n": 0}]))
    tell(
        child,
        """
        CREATE FUNCTION go_west() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            SET TimeZone = 'America/New_York';
            RETURN NULL;
        END $$;
        CREATE TRIGGER go_west AFTER INSERT ON shop.alpha EXECUTE FUNCTION go_west();
        """,
    )
    when = deliver("when", "event", [{"id": 1, "at": "2026-01-02T03:04:05"}])

    west = attempt(parcel_of([deliver("west", "alpha", [{"n": 1}])]), child)
    after = attempt(parcel_of([when]), child)

    assert ({}, {}) == (west.settlements, after.settlements)
    assert [("2026-01-02 03:04:05+00",)] == tell(
        child, "SELECT (at AT TIME ZONE 'UTC')::text || '+00' FROM event WHERE id = 1"
    )


def test_claims_come_before_rows(child: Child) -> None:
    """While a claim waits for another transaction, no row of the batch stands in anybody's way."""
    jobs = [deliver("j", "item", [{"id": 1, "name": "x"}])]
    claim = (
        "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker)"
        " VALUES ('j', 't', 's', 'committed', 1, 'd', 'w')"
    )
    with closing(psycopg2.connect(child.pool.url)) as other, other.cursor() as cursor:
        cursor.execute(claim)
        with ThreadPoolExecutor(1) as threads:
            settling = threads.submit(settle_each, child, *jobs)
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            wait_for(lambda: tell(child, waiting) == [(1,)], what="the claim to wait")
            cursor.execute("SET lock_timeout = '100ms'")
            cursor.execute("INSERT INTO shop.item (id, name) VALUES (1, 'theirs')")
            other.rollback()

            assert [Fate.COMMITTED] == fates(settling.result(60))


def test_batch_is_cut_at_its_rows(child: Child, database: str) -> None:
    """No transaction holds more rows than a batch may, by neither way; a single job always fits."""
    jobs = [deliver(f"j-{n}", "alpha", [{"n": n}] * rows) for n, rows in enumerate([2, 1, 1, 9, 2])]
    with child_on(database, batch_rows=3) as bounded:
        for way in (bounded, careful(bounded)):
            settlements = settle_each(way, *jobs)

            assert [Fate.COMMITTED] * 5 == fates(settlements)
            grouped = tell(
                child, "SELECT array_agg(id ORDER BY id) FROM celeriac.job GROUP BY batch"
            )
            together = [["j-0", "j-1"], ["j-2"], ["j-3"], ["j-4"]]
            assert together == sorted(ids for (ids,) in grouped)
            assert_accounts_add_up(child, "shop.alpha")
            tell(child, "DELETE FROM celeriac.job; DELETE FROM shop.alpha")


def test_mixed_batch_takes_both_ways(child: Child) -> None:
    """Jobs of targets that update go carefully; the plain ones among them need not."""
    latest = [deliver(f"l-{n}", "latest", [{"id": 1, "name": f"n{n}"}]) for n in range(2)]

    settlements = settle_each(child, latest[0], *events(2), latest[1])

    assert [Fate.COMMITTED] * 4 == fates(settlements)
    assert [(2,)] == tell(child, "SELECT count(DISTINCT batch) FROM celeriac.job")
    assert [("n1",)] == tell(child, "SELECT name FROM shop.customer")


def test_rows_of_several_shapes(child: Child) -> None:
    """A column that is left out takes its default, whatever other rows of the batch bring."""
    rows = [{"id": 1, "kind": "given"}, {"id": 2}, {"id": 3, "note": "n"}, {"id": 4, "xact": 5}]

    settled = settle(child, deliver("j", "event", rows), deliver("k", "alpha", [{"n": 1}]))

    assert 4 == (settled["j"].result or {})["inserted"]
    expected = [(1, "given"), (2, "made up"), (3, "made up"), (4, "made up")]
    assert expected == tell(child, "SELECT id, kind FROM event ORDER BY id")
    assert [(1,)] == tell(child, "SELECT count(DISTINCT batch) FROM celeriac.job")


def test_new_column_is_found(child: Child) -> None:
    """A column added while the worker runs is written at once."""
    settle_each(child, *events(1))
    tell(child, "ALTER TABLE event ADD fresh text")

    settle_each(child, deliver("j", "event", [{"id": 5, "fresh": "yes"}]))

    assert [("yes",)] == tell(child, "SELECT fresh FROM event WHERE id = 5")


def test_lost_answer_settles_from_the_ledger(child: Child, database: str, catalog: Path) -> None:
    """When the answer to the statement is lost, its jobs wait; run again, their effect is once."""
    dsn = parse_dsn(database)
    socket = f"{dsn['host']}/.s.PGSQL.{dsn.get('port', 5432)}"
    with FaultProxy(socket, postgres=True) as proxy:
        url = proxy.postgres_url(dsn["dbname"])
        with child_on(url, catalog=catalog) as distant:
            settle_each(distant, *events(1, first=90))
            proxy.cut_commit_answers()

            lost = settle_each(distant, *events(3))
            again = settle_each(distant, *events(3))

            assert 1 == proxy.commits_cut
    assert ([Fate.WAIT] * 3, [Fate.COMMITTED] * 3) == (fates(lost), fates(again))
    assert [(4,)] == tell(child, "SELECT count(*) FROM event")
    assert_accounts_add_up(child, "event")


def test_server_out_of_reach_counts_for_nobody(catalog: Path) -> None:
    """Jobs wait, by the short way and by the careful one, and say why."""
    with (
        FaultProxy("/nonexistent") as proxy,
        child_on(proxy.postgres_url("none"), catalog=catalog) as distant,
    ):
        settlements = settle_each(distant, *events(2), deliver("j", "alpha", [{"n": "word"}]))

    assert [Fate.WAIT] * 3 == fates(settlements)
    assert all(one.error for one in settlements)


def test_statements_that_run_out_of_time_are_counted(child: Child, database: str) -> None:
    """The main process learns how often PostgreSQL ended a statement for its time."""
    impatient = Session(lock_seconds=5, statement_seconds=0.3)
    with (
        closing(psycopg2.connect(database)) as gatekeeper,
        gatekeeper.cursor() as cursor,
        child_on(database, session=impatient) as hurried,
    ):
        cursor.execute("SELECT pg_advisory_lock(4711)")
        answer = attempt(parcel_of([deliver("j", "gate", [{"n": 1}])]), hurried)

    # Once by the short way, and as often by the careful one as a collision is tried again.
    assert 1 + COLLISIONS == answer.timeouts
    assert [(0,)] == tell(child, "SELECT count(*) FROM shop.gate")


def test_bodies_come_as_base64(child: Child) -> None:
    """A body that is text is base64; one that is not is buried with those words."""
    good, *others = (base64.b64encode(one.body).decode() for one in events(3))
    parcel = Parcel(INGEST, ["g", "bad", "worse", "o"], [good, "abcde", "ünreadable", others[0]])

    answer = attempt(parcel, child)

    assert [1, 0, 0, 1] == answer.rows
    assert {1: Fate.DEAD, 2: Fate.DEAD} == {n: one.fate for n, one in answer.settlements.items()}
    assert "body must be base64 text" in (settlement_of(answer, parcel, 1).error or "")
    assert_accounts_add_up(child, "event")


def test_attempts_are_recorded(child: Child) -> None:
    """A job that was tried before says in the ledger how often."""
    settle_each(child, deliver("j", "event", [{"id": 1}], attempts=3), *events(1))

    assert [("e-000", 1), ("j", 3)] == tell(
        child, "SELECT id, attempts FROM celeriac.job ORDER BY id"
    )
