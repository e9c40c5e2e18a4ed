"""One deployment with a running worker for all tests of a module."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

from postgres.database import create_database
from postgres.migrate import migrate
from tests.workers import Worker
from worker.embedded import EmbeddedPostgres, EmbeddedValkey

BROKER, RESULTS = 0, 1


@dataclass(frozen=True, slots=True)
class Site:
    """A database, a broker, and the environment that names them."""

    database: str
    env: dict[str, str]

    def query(self, text: str) -> list[tuple[object, ...]]:
        """Run statements of the test's own, committed, and return the last one's rows."""
        with psycopg2.connect(self.database) as connection, connection.cursor() as cursor:
            cursor.execute(text)
            rows = cursor.fetchall() if cursor.description else []
        connection.close()
        return rows


@pytest.fixture(scope="module")
def open_site(
    postgres_server: EmbeddedPostgres,
    valkey_server: EmbeddedValkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Site]]:
    """Open sites on a catalog, each with one worker; all are closed in the end."""
    workers: list[Worker] = []

    def open_one(
        catalog: Path,
        tables: str,
        queues: str,
        further: Mapping[str, str],
        options: Sequence[str] = (),
    ) -> Site:
        for database in (BROKER, RESULTS):
            with valkey_server.client(database) as client:
                client.flushdb()
        name = f"docs_{uuid4().hex[:12]}"
        create_database(postgres_server.url(), name)
        migrate(postgres_server.url(name))
        env = {
            "CELERIAC_BROKER_URL": valkey_server.url(BROKER),
            "CELERIAC_RESULT_URL": valkey_server.url(RESULTS),
            "CELERIAC_DATABASE_URL": postgres_server.url(name),
            "CELERIAC_CATALOG": str(catalog),
            "CELERIAC_ARTIFACTS": tmp_path_factory.mktemp("artifacts").as_uri(),
        }
        site = Site(postgres_server.url(name), env)
        site.query(tables)
        workers.append(Worker(env | further, queues=queues, options=options).start())
        return site

    yield open_one
    for worker in workers:
        worker.kill()
