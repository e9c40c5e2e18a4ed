"""Migrations on a real PostgreSQL: applied once, whole or not at all; what they hold true."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from celeriac.contract import LEDGER_STATES
from postgres.errors import MigrationFailed
from postgres.migrate import Migration, migrate, migrations
from tests.waiting import wait_for

CREATE_FIRST = Migration(1, "create_first", "CREATE TABLE celeriac.first (id int)")
CREATE_SECOND = Migration(2, "create_second", "CREATE TABLE celeriac.second (id int)")
BREAK = Migration(2, "break", "CREATE TABLE celeriac.half (id int); SELECT 1/0")


def answers(url: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Return what a query answers."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def applied(url: str) -> list[tuple[Any, ...]]:
    """Return number and name of what the database says was applied."""
    return answers(url, "SELECT number, name FROM celeriac.migration ORDER BY number")


def tables(url: str) -> set[str]:
    """Return the names of the tables of our schema."""
    found = answers(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'celeriac'")
    return {name for (name,) in found}


def test_migrating_twice_is_migrating_once(empty_database: str) -> None:
    """The first run applies all and says so, the second finds nothing to do."""
    first = migrate(empty_database)
    made = tables(empty_database)
    second = migrate(empty_database)

    assert (migrations(), []) == (first, second)
    assert {"job", "quarantine", "target_hold", "report_run", "migration"} <= made
    assert [(one.number, one.name) for one in migrations()] == applied(empty_database)
    assert made == tables(empty_database)


def test_shipped_migrations_are_numbered_without_gaps() -> None:
    """Their numbers are 1, 2, 3, … in order, each with a name of its own."""
    found = migrations()

    assert list(range(1, len(found) + 1)) == [one.number for one in found]
    assert len(found) == len({one.name for one in found})


def test_only_what_is_missing_is_applied(empty_database: str) -> None:
    """A newer version brings a database forward from where it is."""
    migrate(empty_database, [CREATE_FIRST])

    later = migrate(empty_database, [CREATE_FIRST, CREATE_SECOND])

    assert [CREATE_SECOND] == later
    assert {"migration", "first", "second"} == tables(empty_database)


def test_older_version_leaves_a_newer_database_alone(empty_database: str) -> None:
    """A worker that knows fewer migrations than were applied changes nothing."""
    migrate(empty_database, [CREATE_FIRST, CREATE_SECOND])

    nothing = migrate(empty_database, [CREATE_FIRST])

    assert ([], {"migration", "first", "second"}) == (nothing, tables(empty_database))


def test_broken_migration_leaves_nothing_of_itself(empty_database: str) -> None:
    """It names itself and PostgreSQL's words; what came before it stays, what follows waits."""
    with pytest.raises(MigrationFailed) as caught:
        migrate(empty_database, [CREATE_FIRST, BREAK, Migration(3, "after", "SELECT 1")])

    words = str(caught.value)
    assert words.startswith("migration 0002 break failed, nothing of it was applied: division by")
    assert [(1, "create_first")] == applied(empty_database)
    assert {"migration", "first"} == tables(empty_database)


def test_mended_migration_goes_on(empty_database: str) -> None:
    """After a failure nothing has to be cleaned up before the next try, nor any lock freed."""
    with pytest.raises(MigrationFailed):
        migrate(empty_database, [CREATE_FIRST, BREAK])

    later = migrate(empty_database, [CREATE_FIRST, CREATE_SECOND])

    assert [CREATE_SECOND] == later


def test_two_at_once_apply_each_migration_once(empty_database: str) -> None:
    """The second migrator waits for the first, and then finds nothing to do."""
    slow = Migration(1, "slow", "CREATE TABLE celeriac.first (); SELECT pg_advisory_xact_lock(1)")
    done: list[list[Migration]] = []
    threads = [
        threading.Thread(target=lambda: done.append(migrate(empty_database, [slow])))
        for _ in range(2)
    ]

    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event = 'advisory' AND datname = current_database()"
    )

    with closing(psycopg2.connect(empty_database)) as gate, gate.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(1)")
        threads[0].start()
        wait_for(lambda: answers(empty_database, waiting) == [(1,)], what="the first to be at work")
        threads[1].start()
        wait_for(lambda: answers(empty_database, waiting) == [(2,)], what="the second to wait")
    for thread in threads:
        thread.join(60)

    assert [[], [slow]] == sorted(done, key=len)
    assert [(1, "slow")] == applied(empty_database)


@pytest.fixture
def job(database: str) -> Iterator[Any]:
    """Write one row of the ledger with some columns changed; return PostgreSQL's refusal."""

    def write(**changed: object) -> str | None:
        columns: dict[str, object] = {
            "id": "job",
            "task": "celeriac.ingest",
            "subject": "orders",
            "state": "committed",
            "batch": 1,
            "digest": b"d",
            "worker": "w",
        }
        columns |= changed
        names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
        with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(
                    f"INSERT INTO celeriac.job ({names}) VALUES ({marks})", list(columns.values())
                )
            except psycopg2.IntegrityError as error:
                return error.diag.constraint_name or error.diag.column_name
        return None

    return write


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"rows": 5, "inserted": 5}, None),
        ({"rows": 5, "inserted": 1, "updated": 1, "ignored": 1, "superseded": 1}, "job_accounts"),
        ({"rows": 2, "updated": 1, "quarantined": 1}, None),
        ({"rows": 3, "inserted": 1, "ignored": 1, "superseded": 1}, None),
        ({"rows": 5, "inserted": 6}, "job_accounts"),
        ({"rows": 5}, "job_accounts"),
        ({"rows": 5, "state": "dead", "error": "why"}, None),
        ({"state": "dead"}, "job_reason"),
        ({"state": "held"}, "job_reason"),
        ({"state": "cancelled"}, "job_reason"),
        ({"error": "why"}, "job_reason"),
        ({"state": "working"}, None),
        ({"payload": "message"}, "job_payload"),
        ({"state": "held", "error": "why", "payload": "message"}, None),
        ({"state": "cancelled", "error": "why", "payload": "message"}, "job_payload"),
        ({"digest": None}, "digest"),
        ({"worker": None}, "worker"),
    ],
)
def test_ledger_refuses_what_cannot_be(
    job: Any, columns: dict[str, object], expected: str | None
) -> None:
    """Accounts add up, reasons and payloads stand where they must, and only there."""
    refusal = job(**columns)

    assert expected == refusal


@pytest.mark.parametrize("state", ["queued", "reserved", "running", "unknown", "COMMITTED", ""])
def test_ledger_refuses_other_states(job: Any, state: str) -> None:
    """What only Redis can know is no state of the ledger."""
    refusal = job(state=state, error="why")

    assert "job_state" == refusal


@pytest.mark.parametrize("state", sorted(LEDGER_STATES))
def test_ledger_takes_its_states(job: Any, state: str) -> None:
    """Every state that the contract gives to the ledger can be written."""
    needs_reason = state not in ("working", "committed")

    refusal = job(state=str(state), error="why" if needs_reason else None)

    assert refusal is None


def test_a_job_has_one_row(database: str) -> None:
    """The id is the fence: it is compared byte by byte, and stands once."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        insert = (
            "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker)"
            " VALUES (%s, 't', 's', 'committed', 1, 'd', 'w')"
        )
        for distinct in ("é", "e\u0301", "A", "a", "a "):
            cursor.execute(insert, (distinct,))
        with pytest.raises(psycopg2.errors.UniqueViolation):
            cursor.execute(insert, ("a",))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("('job', 1, 't', '{}', '22P02', 'words')", None),
        ("('job', 0, 't', '{}', '22P02', 'words')", "quarantine_row_number_check"),
        ("('none', 1, 't', '{}', '22P02', 'words')", "quarantine_job_id_fkey"),
        (
            "('job', 1, 't', '{}', '22P02', 'words'), ('job', 1, 't', '{}', '23514', 'others')",
            "quarantine_once",
        ),
    ],
)
def test_quarantine_refuses_what_cannot_be(
    database: str, values: str, expected: str | None
) -> None:
    """A row is set aside once, with its number, for a job that the ledger knows."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker)"
            " VALUES ('job', 't', 's', 'committed', 1, 'd', 'w')"
        )
        refusal = None
        try:
            cursor.execute(
                "INSERT INTO celeriac.quarantine"
                f" (job_id, row_number, target, row, sqlstate, message) VALUES {values}"
            )
        except psycopg2.IntegrityError as error:
            refusal = error.diag.constraint_name

    assert expected == refusal
