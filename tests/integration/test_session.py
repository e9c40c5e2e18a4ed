"""The settings of our sessions: values mean the same whatever a server's or role's defaults."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

import psycopg2
import pytest
from psycopg2 import sql

from postgres.errors import Refused
from postgres.pool import Pool, PoolLimits
from postgres.session import Session
from postgres.transaction import transaction
from tests.workers import ROOT

CONTRARY = {
    "TimeZone": "America/New_York",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "client_encoding": "LATIN1",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "client_connection_check_interval": "0",
}


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


def shown(pool: Pool, *names: str) -> tuple[str, ...]:
    """Return settings of the server as a session of ours sees them."""
    with transaction(pool) as cursor:
        cursor.execute(
            "SELECT array(SELECT current_setting(name) FROM unnest(%s) AS name)", (list(names),)
        )
        ((values,),) = cursor.fetchall()
    return tuple(values)


@pytest.fixture
def contrary(database: str) -> Iterator[str]:
    """URL of a role whose defaults are all other than ours."""
    role = f"contrary_{os.urandom(4).hex()}"
    create = [sql.SQL("CREATE ROLE {} LOGIN SUPERUSER").format(sql.Identifier(role))]
    create += [
        sql.SQL("ALTER ROLE {} SET {} = {}").format(
            sql.Identifier(role), sql.Identifier(name), sql.Literal(value)
        )
        for name, value in CONTRARY.items()
    ]
    with closing(psycopg2.connect(database)) as owner, owner, owner.cursor() as cursor:
        for statement in create:
            cursor.execute(statement)
        known = psycopg2.extensions.parse_dsn(database)
    place = "&".join(f"{name}={quote(known[name], safe='')}" for name in known if name != "user")
    yield f"postgresql:///?{place}&user={role}"
    with closing(psycopg2.connect(database)) as owner, owner, owner.cursor() as cursor:
        cursor.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture
def pool(contrary: str) -> Iterator[Pool]:
    """Open a pool for that role."""
    pool = Pool(contrary, PoolLimits(size=2))
    yield pool
    pool.close()


def test_role_has_other_defaults(contrary: str) -> None:
    """Without our settings, that role's sessions read values otherwise."""
    with closing(psycopg2.connect(contrary)) as stock, stock.cursor() as cursor:
        cursor.execute("SELECT timestamptz '2024-07-01 00:00', date '01/02/2024'")
        moment, day = cursor.fetchone() or (None, None)

    assert "2024-07-01T00:00:00-04:00" == moment.isoformat()
    assert "2024-02-01" == day.isoformat()


def test_values_do_not_change_their_meaning(pool: Pool) -> None:
    """Naive times are UTC, dates and intervals read and print as ISO has it."""
    with transaction(pool) as cursor:
        cursor.execute(
            "SELECT timestamptz '2024-07-01 00:00', date '2024-02-01'::text,"
            " interval '1 day 2 hours'::text, 'größe €'"
        )
        row = cursor.fetchone()

    moment, *texts = row
    assert "2024-07-01T00:00:00+00:00" == moment.isoformat()
    assert ["2024-02-01", "P1DT2H", "größe €"] == texts


def test_settings_are_pinned(pool: Pool) -> None:
    """Each session asks for its own zone, styles, encoding and limits."""
    found = shown(
        pool,
        *("TimeZone", "DateStyle", "IntervalStyle", "client_encoding"),
        *("lock_timeout", "statement_timeout", "application_name"),
    )

    assert ("UTC", "ISO, YMD", "iso_8601", "UTF8", "2s", "10s", "celeriac") == found


def test_settings_survive_a_reset(pool: Pool) -> None:
    """What one user changed is back at ours, not at the role's, for the next."""
    with transaction(pool) as cursor:
        cursor.execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; RESET ALL")
        cursor.execute("SET lock_timeout = 0")

    found = shown(pool, "TimeZone", "DateStyle", "lock_timeout", "application_name")

    assert ("UTC", "ISO, YMD", "2s", "celeriac") == found
    assert 1 == pool.counts.opened


def test_limits_are_the_settings(database: str) -> None:
    """Fractions of a second count, and the name of the worker is shown."""
    session = Session(application_name="celeriac box:7", lock_seconds=0.25, statement_seconds=1.5)
    pool = Pool(database, PoolLimits(size=1), session)

    found = shown(pool, "lock_timeout", "statement_timeout", "application_name")
    pool.close()

    assert ("250ms", "1500ms", "celeriac box:7") == found


def test_slow_statement_is_cancelled(database: str) -> None:
    """A statement over its limit ends with the code that says so."""
    pool = Pool(database, PoolLimits(size=1), Session(statement_seconds=0.1))

    with pytest.raises(psycopg2.errors.QueryCanceled), transaction(pool) as cursor:
        cursor.execute("SELECT pg_sleep(30)")
    pool.close()


def test_server_looks_for_dead_clients(pool: Pool) -> None:
    """The server asks each second whether the client of a running statement is still there."""
    found = shown(pool, "client_connection_check_interval")

    assert ("1s",) == found


def test_both_ends_give_up_an_unreachable_peer() -> None:
    """Over TCP, server and libpq are told the same time; a Unix socket shows none of it."""
    options = Session(dead_peer_seconds=8, connect_seconds=3).connect_options()
    asked = dict(one.split("=") for one in str(options["options"]).replace("-c ", "").split())

    ours = {name: str(value) for name, value in options.items()}
    assert ("3", "1") == (ours["connect_timeout"], ours["keepalives"])
    for libpq, server, expected in (
        ("tcp_user_timeout", "tcp_user_timeout", "8000"),
        ("keepalives_idle", "tcp_keepalives_idle", "8"),
        ("keepalives_interval", "tcp_keepalives_interval", "2"),
        ("keepalives_count", "tcp_keepalives_count", "3"),
    ):
        assert (expected, expected) == (ours[libpq], asked[server])


DYING = """
import sys
from postgres.pool import Pool, PoolLimits
from postgres.session import Session

pool = Pool(sys.argv[1], PoolLimits(size=1), Session(statement_seconds=300))
with pool.connection() as connection, connection.cursor() as cursor:
    cursor.execute("SELECT pg_advisory_xact_lock(99)")
    print(connection.info.backend_pid, flush=True)
    cursor.execute("SELECT pg_sleep(300)")
"""


def test_killed_client_does_not_keep_its_locks(contrary: str, database: str) -> None:
    """A client killed in the middle of a long statement loses its locks within seconds."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    client = subprocess.Popen(
        [sys.executable, "-c", DYING, contrary],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    client.stdout.readline()

    os.kill(client.pid, signal.SIGKILL)
    client.wait(60)
    client.stdout.close()

    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        cursor.execute("SET lock_timeout = '60s'; SELECT pg_advisory_xact_lock(99)")
        other.rollback()


def test_refusal_names_what_postgresql_names(database: str) -> None:
    """A refused COMMIT comes out in our own words: code, table, constraint, phase."""
    pool = Pool(database, PoolLimits(size=1))
    with transaction(pool) as cursor:
        cursor.execute(
            "CREATE TABLE public.parent (id int PRIMARY KEY);"
            "CREATE TABLE public.child (id int REFERENCES public.parent DEFERRABLE"
            " INITIALLY DEFERRED)"
        )

    with pytest.raises(Refused) as caught, transaction(pool) as cursor:
        cursor.execute("INSERT INTO public.child VALUES (5)")
    pool.close()

    refused = caught.value
    found = (refused.sqlstate, refused.phase.value, refused.table, refused.constraint)
    assert ("23503", "commit", "public.child", "child_id_fkey") == found
