"""Statements that are ended from another thread, whether or not anybody hears that."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from postgres import Connection
from postgres.interrupt import interrupt
from postgres.session import Session
from tests.faults.proxy import FaultProxy
from tests.waiting import wait_for
from worker.embedded import EmbeddedPostgres

_IS_SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid = %s"


class Sleeper:
    """A statement that takes for ever, run by a thread of its own."""

    def __init__(self, connection: Connection) -> None:
        self.error: psycopg2.Error | None = None
        self._connection = connection
        self._thread = threading.Thread(target=self._sleep, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether the statement ended."""
        return not self._thread.is_alive()

    def _sleep(self) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(3600)")
        except psycopg2.Error as error:
            self.error = error


@contextmanager
def sleeping(url: str, database: str) -> Iterator[tuple[Connection, Sleeper, Callable[[], bool]]]:
    """Run one over the URL; what is yielded last says whether the server runs it still."""
    options = Session(statement_seconds=3600).connect_options()
    with (
        closing(psycopg2.connect(url, **options)) as connection,
        closing(psycopg2.connect(database)) as other,
    ):
        other.autocommit = True
        pid = connection.info.backend_pid

        def is_running() -> bool:
            with other.cursor() as cursor:
                cursor.execute(_IS_SLEEPING, (pid,))
                return bool(cursor.fetchone() == (1,))

        sleeper = Sleeper(connection)
        wait_for(is_running, what="the statement to run")
        yield connection, sleeper, is_running


def test_interrupted_statement_leaves_its_connection(database: str) -> None:
    """Where the server hears it, the statement ends, and the connection is as good as before."""
    with sleeping(database, database) as (connection, sleeper, is_running):
        interrupt(connection)

        wait_for(lambda: sleeper.is_over, what="the end of the statement")
        assert not is_running()
        assert isinstance(sleeper.error, psycopg2.errors.QueryCanceled)
        connection.rollback()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


@pytest.mark.parametrize("fault", ["silent", "refused"])
def test_nobody_hears_the_interrupt(
    database: str, postgres_server: EmbeddedPostgres, fault: str
) -> None:
    """Who would be asked takes the connection and says nothing, or takes none: ours is broken."""
    upstream = str(postgres_server.socket_dir / ".s.PGSQL.5432")
    name = database.partition("?")[0].rpartition("/")[2]
    with (
        FaultProxy(upstream) as proxy,
        sleeping(proxy.postgres_url(name), database) as (connection, sleeper, is_running),
    ):
        proxy.half_open() if fault == "silent" else proxy.refuse()

        interrupt(connection)

        wait_for(lambda: sleeper.is_over, what="the end of the wait")
        assert isinstance(sleeper.error, psycopg2.OperationalError)
        assert not isinstance(sleeper.error, psycopg2.errors.QueryCanceled)
        proxy.heal()
        proxy.cut()
        wait_for(lambda: not is_running(), what="the server to notice that its client has gone")
