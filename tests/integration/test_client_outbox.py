"""Jobs enqueued in the caller's transaction share its fate, whichever driver it is of."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import django
import psycopg
import psycopg2
import psycopg2.extras
import pytest
import sqlalchemy
import sqlalchemy.ext.asyncio
import sqlalchemy.orm
from django.conf import settings as django_settings
from django.db import connections, transaction
from psycopg2.extensions import make_dsn, parse_dsn

from celeriac import AsyncOutbox, BadPayload, Outbox, outbox
from celeriac.values import decode

if not django_settings.configured:
    django_settings.configure(DATABASES={}, INSTALLED_APPS=[], USE_TZ=True, TIME_ZONE="UTC")
    django.setup()

ROWS = [{"a": 1, "price": Decimal("1.10")}, {"a": None, "big": 2**70}]
PARTS = ("host", "port", "user", "password", "dbname")


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


class Undone(Exception):
    """The caller's own trouble."""


def parts_of(url: str) -> dict[str, Any]:
    """Return the parts of a URL, as drivers name them."""
    return {name: value for name, value in parse_dsn(url).items() if name in PARTS}


@contextmanager
def with_psycopg2(url: str) -> Iterator[Any]:
    """A transaction of psycopg2, on a connection whose rows are no tuples."""
    factory = psycopg2.extras.RealDictCursor
    with closing(psycopg2.connect(url, cursor_factory=factory)) as connection, connection:
        yield connection


@contextmanager
def with_psycopg(url: str) -> Iterator[Any]:
    """A transaction of psycopg 3."""
    with psycopg.connect(url) as connection:
        yield connection


def engine_of(url: str, driver: str) -> sqlalchemy.URL:
    """Return a URL of SQLAlchemy's."""
    parts = parts_of(url)
    return sqlalchemy.URL.create(
        f"postgresql+{driver}",
        username=parts.get("user"),
        password=parts.get("password"),
        database=parts["dbname"],
        query={"host": parts["host"], "port": parts.get("port", "5432")},
    )


@contextmanager
def with_sqlalchemy(url: str) -> Iterator[Any]:
    """A transaction of SQLAlchemy's Core."""
    engine = sqlalchemy.create_engine(engine_of(url, "psycopg2"), poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        yield connection


@contextmanager
def with_session(url: str) -> Iterator[Any]:
    """A transaction of a session, on psycopg 3."""
    engine = sqlalchemy.create_engine(engine_of(url, "psycopg"), poolclass=sqlalchemy.NullPool)
    with sqlalchemy.orm.Session(engine) as session, session.begin():
        yield session


@contextmanager
def with_django(url: str) -> Iterator[Any]:
    """A transaction of Django's."""
    parts = parts_of(url)
    names = {"dbname": "NAME", "host": "HOST", "port": "PORT", "user": "USER"}
    entry = {names[part]: value for part, value in parts.items() if part in names}
    connections.databases["shop"] = entry | {"ENGINE": "django.db.backends.postgresql"}
    connections.configure_settings(connections.databases)
    try:
        with transaction.atomic(using="shop"):
            yield connections["shop"]
    finally:
        connections["shop"].close()
        del connections["shop"]


@asynccontextmanager
async def with_psycopg_async(url: str) -> AsyncIterator[Any]:
    """A transaction of psycopg 3 in asyncio."""
    connection = await psycopg.AsyncConnection.connect(url)
    async with connection:
        yield connection


@asynccontextmanager
async def with_asyncpg(url: str) -> AsyncIterator[Any]:
    """A transaction of asyncpg, on a connection that was told to read jsonb by itself."""
    parts = parts_of(url)
    parts["database"] = parts.pop("dbname")
    connection = await asyncpg.connect(**parts)
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=repr, decoder=str)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def with_sqlalchemy_async(url: str) -> AsyncIterator[Any]:
    """A transaction of SQLAlchemy in asyncio, on asyncpg."""
    place = engine_of(url, "asyncpg")
    engine = sqlalchemy.ext.asyncio.create_async_engine(place, poolclass=sqlalchemy.NullPool)
    async with engine.begin() as connection:
        yield connection


SYNC: list[Callable[[str], AbstractContextManager[Any]]] = [
    with_psycopg2,
    with_psycopg,
    with_sqlalchemy,
    with_session,
    with_django,
]
ASYNC = [with_psycopg_async, with_asyncpg, with_sqlalchemy_async]


def entries(url: str) -> list[dict[str, Any]]:
    """Return the outbox as it was committed."""
    with closing(psycopg2.connect(url)) as connection:
        with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(
                "SELECT id, task, kwargs::text AS kwargs, run_at, options FROM celeriac.outbox"
                " ORDER BY number"
            )
            return [dict(row) for row in cursor.fetchall()]


@pytest.mark.parametrize("begin", SYNC)
def test_jobs_share_the_fate_of_the_transaction(begin: Any, database: str) -> None:
    """What commits is in the outbox, all of it; what is rolled back never was."""
    until = datetime(2031, 1, 1, tzinfo=UTC)
    with pytest.raises(Undone), begin(database) as connection:
        outbox(connection).ingest("flights", ROWS, id="never")
        outbox(connection).ingest_many("flights", ROWS)
        raise Undone

    with begin(database) as connection:
        box = outbox(connection)
        first = box.ingest("flights", ROWS, id="a 100% sure :job")
        second = box.report("daily", {"day": "x:y"}, priority=3, track=False, expires=until)
        third = box.ingest_file("flights", "file:///a.csv", run_at=timedelta(hours=1))
        many = box.ingest_many("flights", ({"n": n} for n in range(600)), rows_per_job=2)

    found = entries(database)
    assert isinstance(box, Outbox)
    assert ["a 100% sure :job", second, third] == [entry["id"] for entry in found[:3]]
    assert (first, 303, 300, 600) == ("a 100% sure :job", len(found), many.jobs, many.rows)
    assert {"target": "flights", "rows": ROWS} == decode(found[0]["kwargs"])
    assert {"track": False, "priority": 3, "expires": until.isoformat()} == found[1]["options"]
    assert found[2]["run_at"] - found[0]["run_at"] > timedelta(minutes=59)
    # What is the rule anyway is not written.
    assert [None, None] == [found[0]["options"], found[2]["options"]]
    assert {"track": False} == found[3]["options"]
    assert {"target": "flights", "rows": [{"n": 0}, {"n": 1}]} == decode(found[3]["kwargs"])


@pytest.mark.parametrize("begin", ASYNC)
def test_jobs_share_the_fate_of_an_asynchronous_transaction(begin: Any, database: str) -> None:
    """The same for drivers whose methods are awaited."""

    async def fail() -> None:
        async with begin(database) as connection:
            await outbox(connection).ingest("flights", ROWS, id="never")
            raise Undone

    async def send() -> tuple[Any, Any]:
        async with begin(database) as connection:
            box = outbox(connection)
            assert isinstance(box, AsyncOutbox)
            await box.ingest("flights", ROWS, id="a-job")
            await box.report("daily", run_at=datetime(2031, 1, 1, tzinfo=UTC))
            await box.ingest_file("flights", "file:///a.csv")
            return box, await box.ingest_many("flights", [{"n": 1}], id="x", track=True)

    with pytest.raises(Undone):
        asyncio.run(fail())
    _, many = asyncio.run(send())

    found = entries(database)
    assert (4, "a-job", ["x:1"]) == (len(found), found[0]["id"], many.ids)
    assert datetime(2031, 1, 1, tzinfo=UTC) == found[1]["run_at"]


def test_the_same_id_twice_is_one_job(database: str) -> None:
    """An id that the outbox holds already changes nothing, and the transaction goes on."""
    with with_psycopg2(database) as connection:
        for _ in range(2):
            outbox(connection).ingest("flights", ROWS, id="a-job")
        outbox(connection).ingest_many("flights", ROWS, rows_per_job=1, id="a")
        outbox(connection).ingest_many("flights", ROWS, rows_per_job=1, id="a")

    assert ["a-job", "a:1", "a:2"] == [entry["id"] for entry in entries(database)]


def test_a_bad_job_leaves_the_transaction_alone(database: str) -> None:
    """What is refused before it is sent does not cost the caller what was done before."""
    with with_psycopg2(database) as connection:
        outbox(connection).ingest("flights", ROWS, id="good")
        for bad in ([], [{"a": "\0"}], [{"a": object()}]):
            with pytest.raises(BadPayload):
                outbox(connection).ingest("flights", bad)
        outbox(connection).ingest("flights", [{"a": float("nan")}], id="good too")

    assert ["good", "good too"] == [entry["id"] for entry in entries(database)]


def test_a_connection_in_autocommit_commits_each_call(database: str) -> None:
    """Where there is no transaction the job is there at once."""
    with psycopg.connect(database, autocommit=True) as connection:
        outbox(connection).ingest("flights", ROWS)

        assert 1 == len(entries(database))


def test_a_connection_is_known_by_its_classes(database: str) -> None:
    """A subclass, of a cursor factory's sort or of the application's, is a connection too."""

    class Ours(psycopg2.extras.LoggingConnection):
        """A connection of the application's."""

    with closing(psycopg2.connect(make_dsn(database), connection_factory=Ours)) as connection:
        connection.initialize(open("/dev/null", "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        with connection:
            outbox(connection).ingest("flights", ROWS)

    assert 1 == len(entries(database))
