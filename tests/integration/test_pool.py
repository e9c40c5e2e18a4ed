"""The pool on a real PostgreSQL: what it lends is alive, clean, young and counted."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import psycopg2
import pytest

from postgres import Connection
from postgres.errors import Phase, PoolExhausted, Refused
from postgres.pool import Pool, PoolLimits
from postgres.transaction import single_statement, transaction
from tests.waiting import wait_for
from tests.workers import ROOT

WAIT_SECONDS = 0.3


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


class Clock:
    """A clock that a test sets by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def open_pool(database: str, clock: Clock) -> Iterator[Callable[..., Pool]]:
    """Open pools on this test's database and clock; close them at the end."""
    opened: list[Pool] = []

    def open_one(size: int = 1, **limits: float) -> Pool:
        limits = {"wait_seconds": WAIT_SECONDS} | limits
        opened.append(Pool(database, PoolLimits(size=size, **limits), clock=clock))
        return opened[-1]

    yield open_one
    for pool in opened:
        pool.close()


def ask(connection: Connection, query: str) -> object:
    """Return the one value that a query answers."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    return row[0] if row else None


def backend(pool: Pool) -> object:
    """Return which server process the next connection belongs to."""
    with pool.connection() as connection:
        return ask(connection, "SELECT pg_backend_pid()")


def terminate(database: str, pid: object) -> None:
    """End a server process, and return when it is gone."""
    with closing(psycopg2.connect(database)) as other:
        other.autocommit = True
        ask(other, f"SELECT pg_terminate_backend({pid})")
        gone = f"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})"
        wait_for(lambda: ask(other, gone), what=f"backend {pid} to end")


def connections(database: str) -> object:
    """Count the connections that pools have to this database."""
    with closing(psycopg2.connect(database)) as other:
        return ask(
            other,
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'celeriac'",
        )


def test_nothing_connects_before_the_first_use(
    open_pool: Callable[..., Pool], database: str
) -> None:
    """An open pool costs the server nothing; what came back is used again."""
    pool = open_pool(size=3)

    before = connections(database)
    first, second = backend(pool), backend(pool)

    assert (0, first, 1) == (before, second, connections(database))
    assert (1, 2) == (pool.counts.opened, pool.counts.lent)


def test_exhaustion_says_who_is_out(open_pool: Callable[..., Pool], clock: Clock) -> None:
    """Within the deadline it says how many connections are out, for how long, and what helps."""
    pool = open_pool(size=2)

    with pool.connection():
        clock.now += 5
        with pool.connection():
            clock.now += 2.5
            started = time.monotonic()
            with pytest.raises(PoolExhausted) as caught, pool.connection():
                pytest.fail("lent a third connection of two")
            waited = time.monotonic() - started

    assert "2 of 2 are out, for 7.5 s, 2.5 s" in str(caught.value)
    assert "CELERIAC_POOL_SIZE" in str(caught.value)
    assert WAIT_SECONDS <= waited
    assert (1, 1) == (pool.counts.waited, pool.counts.timed_out)


def test_waiting_ends_when_one_comes_back(open_pool: Callable[..., Pool]) -> None:
    """Whoever waits gets the next connection that is given back."""
    pool = open_pool(size=1, wait_seconds=30)
    got: list[object] = []
    waiter = threading.Thread(target=lambda: got.append(backend(pool)))

    with pool.connection() as connection:
        pid = ask(connection, "SELECT pg_backend_pid()")
        waiter.start()
        wait_for(lambda: pool.counts.waited == 1, what="the other thread to wait")
    waiter.join(60)

    assert [pid] == got
    assert 0 == pool.counts.timed_out


def test_exhaustion_is_over_when_all_are_back(open_pool: Callable[..., Pool]) -> None:
    """A pool that was exhausted once lends all its connections again."""
    pool = open_pool(size=1)
    with pool.connection(), pytest.raises(PoolExhausted), pool.connection():
        pytest.fail("lent a second connection of one")

    pids = [backend(pool) for _ in range(3)]

    assert 1 == len(set(pids))


FORK = """
import os, sys
from postgres.errors import ForeignProcess
from postgres.pool import Pool, PoolLimits

pool = Pool(sys.argv[1], PoolLimits(size=1))
with pool.connection() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT pg_backend_pid()")
    before = cursor.fetchone()
child = os.fork()
if child == 0:
    try:
        with pool.connection():
            os._exit(1)
    except ForeignProcess as error:
        said = f"opened by process {os.getppid()} and used by {os.getpid()}" in str(error)
        pool.close()
        os._exit(0 if said else 2)
_, status = os.waitpid(child, 0)
with pool.connection() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT pg_backend_pid()")
    print(os.waitstatus_to_exitcode(status), before == cursor.fetchone())
"""


def test_pool_is_refused_after_a_fork(database: str) -> None:
    """A child that uses its parent's pool is told so; the parent's connections stay sound."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "client/src")])}

    done = subprocess.run(
        [sys.executable, "-c", FORK, database],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ("0 True\n", "") == (done.stdout, done.stderr)


def test_connection_killed_while_idle_is_replaced(
    open_pool: Callable[..., Pool], database: str, clock: Clock
) -> None:
    """What was ended behind the pool's back is noticed before it is lent."""
    pool = open_pool(idle_check_seconds=30)
    killed = backend(pool)
    terminate(database, killed)
    clock.now += 30

    successor = backend(pool)

    assert killed != successor
    assert (2, 1) == (pool.counts.opened, pool.counts.dropped_dead)


def test_connection_used_just_now_is_not_asked(
    open_pool: Callable[..., Pool], database: str, clock: Clock
) -> None:
    """Busy connections pay no round trip for a check; a dead one is dropped after its use."""
    pool = open_pool(idle_check_seconds=30)
    killed = backend(pool)
    clock.now += 29.9

    terminate(database, killed)
    with pytest.raises(psycopg2.OperationalError):
        backend(pool)
    successor = backend(pool)

    assert killed != successor
    assert (2, 1) == (pool.counts.opened, pool.counts.dropped_dead)


def test_all_killed_connections_are_replaced(
    open_pool: Callable[..., Pool], database: str, clock: Clock
) -> None:
    """After a restart of the server the first use gets a live connection, not an error."""
    pool = open_pool(size=3, idle_check_seconds=30)
    with pool.connection() as one, pool.connection() as two, pool.connection() as three:
        pids = [ask(each, "SELECT pg_backend_pid()") for each in (one, two, three)]
    for pid in pids:
        terminate(database, pid)
    clock.now += 60

    with pool.connection() as one, pool.connection() as two, pool.connection() as three:
        successors = {ask(each, "SELECT pg_backend_pid()") for each in (one, two, three)}

    assert (3, 3) == (len(successors - set(pids)), pool.counts.dropped_dead)


def test_old_connection_is_retired(
    open_pool: Callable[..., Pool], database: str, clock: Clock
) -> None:
    """At its maximum age a connection is replaced, not before, and not in use."""
    pool = open_pool(max_age_seconds=3600, idle_check_seconds=10**6)
    first = backend(pool)
    clock.now += 3599

    young = backend(pool)
    with pool.connection() as connection:
        clock.now += 1
        in_use = ask(connection, "SELECT pg_backend_pid()")
    old = backend(pool)

    assert [first, first] == [young, in_use]
    assert first != old
    assert (2, 1, 0) == (pool.counts.opened, pool.counts.dropped_old, pool.counts.dropped_dead)
    wait_for(lambda: connections(database) == 1, what="the old connection to be gone")


@pytest.mark.parametrize(
    ("leave", "look", "clean"),
    [
        ("SET search_path = elsewhere", "SHOW search_path", '"$user", public'),
        ("SET TimeZone = 'Asia/Tokyo'", "SHOW TimeZone", "UTC"),
        ("SET statement_timeout = 1", "SHOW statement_timeout", "10s"),
        ("SET ROLE pg_read_all_data", "SELECT current_user = session_user", True),
        ("CREATE TEMP TABLE left_over ()", "SELECT to_regclass('left_over')", None),
        (
            "SELECT pg_advisory_lock(7)",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
            0,
        ),
        ("LISTEN something", "SELECT count(*) FROM pg_listening_channels()", 0),
        (
            "PREPARE left_over AS SELECT 1",
            "SELECT count(*) FROM pg_prepared_statements",
            0,
        ),
        (
            "DECLARE left_over CURSOR WITH HOLD FOR SELECT 1",
            "SELECT count(*) FROM pg_cursors WHERE name = 'left_over'",
            0,
        ),
    ],
)
def test_nothing_of_the_last_user_is_left(
    open_pool: Callable[..., Pool], leave: str, look: str, clean: object
) -> None:
    """Settings, roles, temporary tables, locks, listeners and cursors end with their user."""
    pool = open_pool()
    with transaction(pool) as cursor:
        cursor.execute(leave)

    with pool.connection() as connection:
        found = ask(connection, look)

    assert clean == found
    assert (1, 0) == (pool.counts.opened, pool.counts.dropped_dead)


def test_who_leaves_nothing_is_spared_the_reset(open_pool: Callable[..., Pool]) -> None:
    """Nobody forgets for it, nor for its like; whoever is lent the connection then finds none."""
    pool = open_pool()
    with single_statement(pool) as cursor:
        cursor.execute("SELECT set_config('search_path', 'elsewhere', false)")
    with single_statement(pool) as cursor:
        cursor.execute("SHOW search_path")
        ((left,),) = cursor.fetchall()

    with pool.connection() as connection:
        is_as_ever = (connection.autocommit, connection.info.transaction_status)
        found = ask(connection, "SHOW search_path")

    assert (False, 0) == is_as_ever
    assert ("elsewhere", '"$user", public') == (left, found)
    assert 1 == pool.counts.opened


@pytest.mark.parametrize(("query", "opened"), [("SELECT 1/0", 1), ("BEGIN; SELECT 1", 2)])
def test_spared_connection_is_sound(
    open_pool: Callable[..., Pool], query: str, opened: int
) -> None:
    """A failed statement leaves nothing; a connection with an open transaction is dropped."""
    pool = open_pool()
    with suppress(psycopg2.errors.DivisionByZero), single_statement(pool) as cursor:
        cursor.execute(query)

    with pool.connection() as connection:
        status = connection.info.transaction_status
        answer = ask(connection, "SELECT 1")

    assert (0, 1) == (status, answer)
    assert opened == pool.counts.opened


def test_open_transaction_is_undone(open_pool: Callable[..., Pool]) -> None:
    """What was not committed when a connection comes back never happened."""
    pool = open_pool()
    with pool.connection() as connection:
        ask(connection, "INSERT INTO celeriac.target_hold VALUES ('t', 'why') RETURNING target")

    with pool.connection() as connection:
        status = connection.info.transaction_status
        count = ask(connection, "SELECT count(*) FROM celeriac.target_hold")

    assert (0, 0) == (status, count)
    assert 1 == pool.counts.opened


def test_failed_transaction_is_undone(open_pool: Callable[..., Pool]) -> None:
    """A connection whose transaction failed is sound again for the next user."""
    pool = open_pool()
    with pool.connection() as connection, pytest.raises(psycopg2.errors.DivisionByZero):
        ask(connection, "SELECT 1/0")

    with pool.connection() as connection:
        answer = ask(connection, "SELECT 1")

    assert (1, 1) == (answer, pool.counts.opened)


def test_session_options_of_the_last_user_end(open_pool: Callable[..., Pool]) -> None:
    """Autocommit, left on by somebody, does not spoil the next user's transaction."""
    pool = open_pool()
    with pool.connection() as connection:
        connection.autocommit = True

    with pool.connection() as connection:
        left = connection.autocommit

    assert left is False


def test_broken_connection_is_dropped(open_pool: Callable[..., Pool], database: str) -> None:
    """A connection that died in use is closed, and the next user gets another."""
    pool = open_pool()

    with pool.connection() as connection:
        terminate(database, connection.info.backend_pid)
        with pytest.raises(psycopg2.OperationalError):
            ask(connection, "SELECT 1")
    with pool.connection() as connection:
        answer = ask(connection, "SELECT 1")

    assert 1 == answer
    assert (2, 2, 1) == (pool.counts.opened, pool.counts.lent, pool.counts.dropped_dead)


def test_connection_closed_by_its_user_is_dropped(open_pool: Callable[..., Pool]) -> None:
    """Whoever closes what was lent costs the pool a connection, not a place."""
    pool = open_pool(size=1)
    with pool.connection() as connection:
        connection.close()

    first, second = backend(pool), backend(pool)

    assert first == second
    assert (2, 1) == (pool.counts.opened, pool.counts.dropped_dead)


def test_unreachable_server_is_refused(database: str) -> None:
    """Without a server there is a refusal without a code, and no place is lost by it."""
    pool = Pool("postgresql://nobody@127.0.0.1:1/none", PoolLimits(size=1, wait_seconds=0.1))

    refusals = []
    for _ in range(3):
        with pytest.raises(Refused) as caught, pool.connection():
            pytest.fail("lent a connection to nowhere")
        refusals.append((caught.value.sqlstate, caught.value.phase))

    assert [(None, Phase.CONNECT)] * 3 == refusals
    assert (0, 0) == (pool.counts.opened, pool.counts.timed_out)


def test_threads_share_the_pool(open_pool: Callable[..., Pool], database: str) -> None:
    """Many threads on few connections all get their turn, and never share one."""
    pool = open_pool(size=2, wait_seconds=30)
    wrong: list[str] = []

    def work(number: int) -> None:
        for _ in range(5):
            with transaction(pool) as cursor:
                cursor.execute(f"SET LOCAL application_name = 'n{number}'")
                cursor.execute("SHOW application_name")
                if cursor.fetchone() != (f"n{number}",):
                    wrong.append(f"thread {number} saw another")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [] == wrong
    assert (30, True) == (pool.counts.lent, pool.counts.opened <= 2)


def test_closing_closes_all(open_pool: Callable[..., Pool], database: str) -> None:
    """A closed pool leaves no connection behind, and closing again is no error."""
    pool = open_pool(size=2)
    with pool.connection() as one, pool.connection() as two:
        ask(one, "SELECT 1")
        ask(two, "SELECT 1")

    pool.close()
    pool.close()

    wait_for(lambda: connections(database) == 0, what="all connections to be gone")
