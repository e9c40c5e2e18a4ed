"""The SQL by which applications enqueue: what it takes, what it refuses, what it lets nobody do."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from psycopg2 import extensions

from celeriac.contract import MAX_BODY_BYTES, MAX_ID_CHARACTERS, MAX_ROWS
from postgres.errors import MigrationFailed
from postgres.migrate import migrate
from tests.integration.shop import query, query_outside
from tests.waiting import wait_for

OWN = "SELECT celeriac.enqueue('own.task', '{}', id => %s)"
INGEST = "SELECT celeriac.enqueue('celeriac.ingest', %s)"


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


def login(database: str, name: str) -> str:
    """Return the database's URL for another role."""
    return database.replace("postgres@", f"{name}@")


@pytest.fixture
def producer(database: str) -> Iterator[str]:
    """URL of a role that was granted celeriac_producer and nothing else."""
    name = f"app_{uuid4().hex[:8]}"
    query(database, f"CREATE ROLE {name} LOGIN; GRANT celeriac_producer TO {name}")
    yield login(database, name)
    query(database, f"DROP ROLE {name}")


def refusal(url: str, text: str, parameters: object = None) -> str:
    """Return the first line of PostgreSQL's refusal."""
    with pytest.raises(psycopg2.Error) as caught:
        query(url, text, parameters)
    return str(caught.value).splitlines()[0]


def entries(database: str, columns: str = "id") -> list[tuple[Any, ...]]:
    return query(database, f"SELECT {columns} FROM celeriac.outbox ORDER BY number")


def test_enqueue_commits_with_its_transaction(database: str) -> None:
    """Committed it is in the outbox, rolled back it never was."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(OWN, ("stays",))
        connection.commit()
        cursor.execute(OWN, ("goes",))
        connection.rollback()

    assert [("stays",)] == entries(database)


def test_producer_can_enqueue_and_nothing_else(database: str, producer: str) -> None:
    """The role reaches the four functions and no others of more rights; no table."""
    ((id_,),) = query(producer, "SELECT celeriac.enqueue('own.task', '{}')")
    many = query(producer, "SELECT celeriac.enqueue_many('own.task', ARRAY['{}', '{}']::jsonb[])")
    states = query(producer, "SELECT celeriac.state(%s), celeriac.cancel(%s)", (id_, id_))
    tables = query(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'celeriac'")
    inner = query(
        database,
        "SELECT proname FROM pg_proc WHERE pronamespace = 'celeriac'::regnamespace AND prosecdef"
        " AND has_function_privilege('celeriac_producer', oid, 'EXECUTE')",
    )

    assert (2, [("queued", "cancelled")]) == (len(many), states)
    assert {"enqueue", "enqueue_many", "state", "cancel"} == {name for (name,) in inner}
    for (table,) in tables:
        assert "permission denied" in refusal(producer, f"SELECT FROM celeriac.{table}")
        assert "permission denied" in refusal(producer, f"DELETE FROM celeriac.{table}")
    assert "permission denied" in refusal(producer, "CREATE TABLE celeriac.mine ()")


def test_functions_are_not_everybodys(database: str) -> None:
    """A role without the grant reaches nothing, and nobody can log in as the functions' owner."""
    name = f"app_{uuid4().hex[:8]}"
    query(database, f"CREATE ROLE {name} LOGIN")
    logins = query(
        database,
        "SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls"
        " FROM pg_roles WHERE rolname LIKE 'celeriac%'",
    )

    words = refusal(login(database, name), "SELECT celeriac.state('any')")
    query(database, f"DROP ROLE {name}")

    assert ("permission denied for schema celeriac", [(False,), (False,)]) == (words, logins)


def test_path_of_the_caller_is_not_followed(database: str, producer: str) -> None:
    """A function or table of the caller's, earlier in its search path, is never used."""
    text = """
        CREATE TEMPORARY TABLE outbox (id text);
        SET search_path = pg_temp, public;
        SELECT celeriac.enqueue('own.task', '{}', id => 'safe')
    """
    query(producer, text)

    assert [("safe",)] == entries(database)


def test_default_id_is_uuid7_in_order(database: str) -> None:
    """Ids that nobody gave are of version 7, distinct, and sort as they were made."""
    found = query(
        database, "SELECT celeriac.enqueue('own.task', '{}') FROM generate_series(1, 500)"
    )

    ids = [id_ for (id_,) in found]
    assert {7} == {UUID(id_).version for id_ in ids}
    milliseconds = [UUID(id_).int >> 80 for id_ in ids]
    assert sorted(milliseconds) == milliseconds
    assert 500 == len(set(ids))


def test_same_id_twice_is_one_job(database: str) -> None:
    """In one transaction or in two, the first stays and its id comes back."""
    with (
        closing(psycopg2.connect(database)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        for _ in range(2):
            cursor.execute(OWN, ("one",))
            assert ("one",) == cursor.fetchone()
    again = query(database, "SELECT celeriac.enqueue('own.task', '{\"other\": 1}', id => 'one')")
    many = query(
        database,
        "SELECT celeriac.enqueue_many('own.task', array_fill('{}'::jsonb, ARRAY[3]),"
        " ids => ARRAY['two', 'one', 'two'])",
    )

    assert ([("one",)], [("two",), ("one",), ("two",)]) == (again, many)
    assert [("one", {}), ("two", {})] == entries(database, "id, kwargs")


def test_same_id_from_many_threads_is_one_job(database: str) -> None:
    """Twenty transactions at once enqueue one id; all succeed."""
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.extend(query(database, OWN, ("one",))))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert ([("one",)] * 20, [("one",)]) == (answers, entries(database))


def test_id_unseen_by_the_snapshot_keeps_the_transaction(database: str) -> None:
    """Under REPEATABLE READ an id enqueued by others since comes back; the caller goes on."""
    with closing(psycopg2.connect(database)) as connection:
        connection.set_isolation_level(extensions.ISOLATION_LEVEL_REPEATABLE_READ)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            query(database, OWN, ("one",))

            cursor.execute(OWN, ("one",))
            answer = cursor.fetchone()
            cursor.execute(OWN, ("mine",))
        connection.commit()

    assert (("one",), [("mine",), ("one",)]) == (answer, sorted(entries(database)))


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ("[1]", "kwargs must be an object, got [1]"),
        ('{"rows": [{}]}', "target must be text of 1 character or more, got nothing"),
        ('{"target": 5, "rows": [{}]}', "target must be text of 1 character or more, got 5"),
        ('{"target": "a"}', "rows must be a list of objects, got nothing"),
        ('{"target": "a", "rows": {"a": [{}]}}', 'rows must be a list of objects, got {"a": [{}]}'),
        (
            '{"target": "*", "rows": [{}]}',
            'rows must be an object from targets to lists of rows for target "*", got [{}]',
        ),
        ('{"target": "*", "rows": {}}', f"rows must be 1 to {MAX_ROWS}, got 0"),
        ('{"target": "*", "rows": {"a": []}}', f"rows must be 1 to {MAX_ROWS}, got 0"),
        (
            '{"target": "*", "rows": {"a": [{}], "b": {}}}',
            'rows of target "b" must be a list of objects, got {}',
        ),
        ('{"target": "*", "rows": {"a": [{}, 7]}}', "row 2 must be an object, got 7"),
        ('{"target": "a", "rows": []}', f"rows must be 1 to {MAX_ROWS}, got 0"),
        ('{"target": "a", "rows": [{}, 7]}', "row 2 must be an object, got 7"),
        ('{"target": "a", "rows": [{}, [{}]]}', "row 2 must be an object, got [{}]"),
        (
            '{"target": "a", "rows": [{}], "row": 1}',
            'celeriac.ingest takes target, rows, got "row"',
        ),
    ],
)
def test_payload_that_no_worker_takes_is_refused(database: str, kwargs: str, words: str) -> None:
    """The refusal names field, value and limit, and nothing is enqueued."""
    found = refusal(database, INGEST, (kwargs,))

    assert (words, []) == (found, entries(database))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("'celeriac.ingst', '{}'", "task must be celeriac.ingest, celeriac.ingest_file, "),
        ("'', '{}'", "task must be text of 1 character or more, got nothing"),
        ("'own', NULL", "kwargs must be an object, got nothing"),
        ("repeat('o', 201), '{}'", "task must have at most 200 characters, got 201"),
        ("'own', '{}', 'infinity'", "run_at must be a time that comes, got infinity"),
        ("'own', '{}', id => ''", f"id must have 1 to {MAX_ID_CHARACTERS} characters, got 0"),
        ("'own', '{}', id => repeat('x', 201)", "characters, got 201"),
        ("'own', '{}', id => 'celeriac.replay-9'", "id must not begin as those of replays do"),
        (
            """'celeriac.ingest', '{"target": "a", "rows": [{}]}', id => 'celeriac.replay-9'""",
            "id must not begin as those of replays do",
        ),
        ("'own', '{}', options => '{\"expires\": \"x\"}'", "expires must be a time such as 2027"),
        ("'own', '{}', id => E'a\\nb'", 'id must have printable characters only, got "a\\nb"'),
        ("'own', '{}', options => '{\"track\": 1}'", "track must be true or false, got 1"),
        ("'own', '{}', options => '{\"priority\": 10}'", "priority must be 0 to 9, got 10"),
        (
            "'own', '{}', options => '{\"prio\": 1}'",
            "options takes track, priority, expires, group, got",
        ),
        ("'celeriac.report', '{\"params\": {}}'", "name must be text of 1 character or more"),
        ('\'celeriac.report\', \'{"name": "a", "params": 1}\'', "params must be an object, got 1"),
        ("'celeriac.ingest_file', '{\"target\": \"a\"}'", "url must be text of 1 character"),
        (
            "'own', '{}', options => '{\"expires\": \"10000-01-01\"}'",
            "expires must be a time that comes",
        ),
        (
            """'celeriac.ingest_file', '{"target": "a", "url": "a", "format": "xls"}'""",
            'format must be csv, jsonl or parquet, got "xls"',
        ),
        (
            "'own', jsonb_build_object('x', repeat('x', 9000000))",
            f"body must be at most {MAX_BODY_BYTES} bytes, got 90",
        ),
    ],
)
def test_call_that_cannot_work_is_refused(database: str, call: str, words: str) -> None:
    """Every argument has its limits, and the refusal says which was passed."""
    assert words in refusal(database, f"SELECT celeriac.enqueue({call})")


@pytest.mark.parametrize(
    "call",
    [
        """'celeriac.ingest', '{"target": "*", "rows": {"a": [{}], "b": [{}, {}], "c": []}}'""",
        """'celeriac.report', '{"name": "sold", "after": "job-1"}'""",
    ],
)
def test_whatever_workers_take_is_taken(database: str, call: str) -> None:
    """Rows for several targets, and a report that is to show a commit, go by the outbox too."""
    ((one,),) = query(database, f"SELECT celeriac.enqueue({call})")

    assert [(one,)] == entries(database)


def test_too_many_rows_are_refused(database: str) -> None:
    """The contract's number of rows holds."""
    text = """
        SELECT celeriac.enqueue('celeriac.ingest', jsonb_build_object('target', 'a', 'rows', (
            SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, %s)
        )))
    """

    query(database, text, (MAX_ROWS,))

    assert f"rows must be 1 to {MAX_ROWS}, got {MAX_ROWS + 1}" == refusal(
        database, text, (MAX_ROWS + 1,)
    )


def test_size_is_that_of_the_text(database: str) -> None:
    """A few bytes of a number may be a hundred thousand digits: what counts is what is sent."""
    rows = ", ".join(['{"a": 1e131071}'] * 65)
    few, many = (f'{{"target": "t", "rows": [{one}]}}' for one in ('{"a": 1e131071}', rows))

    query(database, INGEST, (few,))

    assert "body must be at most 8388608 bytes, got 852" in refusal(database, INGEST, (many,))
    assert 1 == len(entries(database))


def test_time_that_has_passed_means_now(database: str) -> None:
    """The relay looks for what is due from where it last was."""
    query(database, "SELECT celeriac.enqueue('own.task', '{}', '-infinity')")

    assert [(True,)] == entries(database, "run_at > now() - interval '1 minute'")


def test_states_that_postgres_knows(database: str) -> None:
    """A job of the outbox is queued, one of the ledger what that says, others are unknown."""
    query(database, OWN, ("waits",))
    query(database, OWN, ("again",))
    query(
        database,
        "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker, error)"
        " VALUES ('done', 't', 's', 'committed', 1, 'd', 'w', NULL),"
        " ('again', 't', 's', 'held', 1, 'd', 'w', 'why')",
    )

    found = query(
        database, "SELECT celeriac.state(id) FROM unnest(ARRAY['waits','again','done','no']) AS id"
    )

    assert [("queued",), ("queued",), ("committed",), ("unknown",)] == found


def test_cancelled_job_is_over(database: str) -> None:
    """It leaves the outbox, and the ledger says who cancelled it; twice is no different."""
    text = (
        """SELECT celeriac.enqueue('own.task', '{}', id => 'job', options => '{"track": false}')"""
    )
    query(database, text)

    answers = [query(database, "SELECT celeriac.cancel('job')") for _ in range(2)]

    assert [[("cancelled",)]] * 2 == answers
    assert [] == entries(database)
    ledger = query(database, "SELECT state, error LIKE 'cancelled by %' FROM celeriac.job")
    assert [("cancelled", True)] == ledger


def test_cancelled_job_goes_where_somebody_waits(database: str) -> None:
    """One that is to write a result is due at once: a worker tells who waits for it."""
    text = "SELECT celeriac.enqueue('own.task', '{}', now() + interval '1 day', %s)"
    for id_ in ("job", "other"):
        query(database, text, (id_,))

    query(database, "SELECT celeriac.cancel('job')")

    due = "SELECT id FROM celeriac.outbox WHERE run_at <= clock_timestamp()"
    assert [("job",)] == query(database, due)
    assert [("cancelled",)] == query(database, "SELECT celeriac.state('job')")


def test_cancel_says_what_it_cannot_undo(database: str) -> None:
    """A job that committed stays committed, one that nobody knows is unknown."""
    query(
        database,
        "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker)"
        " VALUES ('done', 't', 's', 'committed', 1, 'd', 'w')",
    )

    found = query(database, "SELECT celeriac.cancel('done'), celeriac.cancel('none')")

    assert [("committed", "unknown")] == found


def test_cancel_waits_for_a_commit_under_way(database: str) -> None:
    """Of a cancel and a worker's claim one comes first, and the other sees how it ended."""
    query(database, OWN, ("job",))
    answers: list[Any] = []
    with closing(psycopg2.connect(database)) as worker, worker.cursor() as cursor:
        cursor.execute(
            "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker)"
            " VALUES ('job', 't', 's', 'committed', 1, 'd', 'w')"
        )
        text = "SELECT celeriac.cancel('job')"
        thread = threading.Thread(target=lambda: answers.extend(query(database, text)))
        thread.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = %s"
        wait_for(lambda: query(database, waiting, (text,)), what="the cancel to wait")
        cursor.execute("DELETE FROM celeriac.outbox WHERE id = 'job'")
        worker.commit()
        thread.join(60)

    assert [("committed",)] == answers


def test_roles_are_there_for_every_database(empty_database: str, database: str) -> None:
    """A second database of the cluster finds the roles and goes on."""
    migrate(empty_database)

    ((id_,),) = query(empty_database, "SELECT celeriac.enqueue('own.task', '{}')")

    assert ([(id_,)], []) == (entries(empty_database), entries(database))


def test_migrating_without_the_right_says_what_to_do(empty_database: str, database: str) -> None:
    """A user who may not give functions away is told what a superuser has to run."""
    name = f"owner_{uuid4().hex[:8]}"
    ((place,),) = query(empty_database, "SELECT current_database()")
    query_outside(
        empty_database, f"CREATE ROLE {name} LOGIN; ALTER DATABASE {place} OWNER TO {name}"
    )

    with pytest.raises(MigrationFailed) as caught:
        migrate(login(empty_database, name))
    query(empty_database, f"GRANT celeriac_definer TO {name}")
    migrate(login(empty_database, name))

    assert f"have a superuser run: GRANT celeriac_definer TO {name}" in str(caught.value)
    assert 1 == len(query(login(empty_database, name), OWN, ("job",)))
