"""Real servers for every test process, an empty database and broker for every test."""

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
from hypothesis import HealthCheck, settings
from psycopg2 import sql

from postgres.migrate import migrate
from tests import own_folder
from tests.swept import SweptDatabase
from tests.workers import ROOT, Worker
from worker.embedded import EmbeddedPostgres, EmbeddedValkey

TEMPLATE = "celeriac_template"
#: Tests that kill or restart a server have one of their own, as durable as in production; here
#: nobody reads what was on disk, and databases come and go by the hundred.
POSTGRES_SETTINGS = {
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "256MB",
    "fsync": "off",
    "full_page_writes": "off",
}

#: Hypothesis makes examples up: the same ones in every ordinary run, others in each storm. How long
#: one takes says nothing on a busy machine.
UNHURRIED = settings(settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("storm", UNHURRIED)
settings.register_profile("ordinary", UNHURRIED, derandomize=True)

#: Files that take long come first: no process of the run is left alone with one of them.
LONGEST_FIRST = ("acceptance", "faults", "docs", "integration", "unit")


def pytest_configure(config: pytest.Config) -> None:
    """Keep what the run leaves behind together; processes of xdist inherit the folder."""
    if not hasattr(config, "workerinput"):
        own_folder.enter()
    settings.load_profile("storm" if _is_storm(config) else "ordinary")
    # What is loaded for thousands of tests stays: to look for garbage in it takes seconds.
    gc.disable()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # So a shell starts what runs in the background, and all that it starts would not hear it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put long files first; deselect storms, unless the expression after -m speaks of them."""
    items.sort(key=_rank)
    if _is_storm(config):
        return
    storms = [item for item in items if item.get_closest_marker("storm")]
    if storms:
        items[:] = [item for item in items if item not in storms]
        config.hook.pytest_deselected(items=storms)


def _is_storm(config: pytest.Config) -> bool:
    return "storm" in config.getoption("-m", default="")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look for garbage from now on, in what the tests make alone."""
    gc.freeze()
    gc.enable()


def _rank(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One PostgreSQL a test process, which promises nothing over a crash of the machine."""
    # Root's data lies outside pytest's folders, named for them: a run that was killed may have left
    # some for a name that comes again.
    folder = tmp_path_factory.mktemp(f"servers-{uuid4().hex[:8]}")
    server = EmbeddedPostgres(folder, settings=POSTGRES_SETTINGS)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """One Valkey a test process, append-only on."""
    server = EmbeddedValkey(tmp_path_factory.mktemp("servers"))
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedPostgres) -> str:
    """Name of a migrated database that others are copied from."""
    _execute(postgres_server, "CREATE DATABASE {}", TEMPLATE)
    migrate(postgres_server.url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """URL of a fresh migrated database."""
    yield from _fresh_database(postgres_server, migrated_template)


@pytest.fixture(scope="session")
def swept_databases() -> list[SweptDatabase]:
    """The one that waits for the next test, if there is one."""
    return []


@pytest.fixture
def swept_database(
    postgres_server: EmbeddedPostgres, migrated_template: str, swept_databases: list[SweptDatabase]
) -> Iterator[str]:
    """URL of a migrated database that holds nothing any more.

    A module whose tests look at what jobs do, and not at files, statistics and
    dead rows, has this as its ``database``: it is cheaper than a fresh one.
    """
    if not swept_databases:
        name = _copy_of(postgres_server, migrated_template)
        swept_databases.append(SweptDatabase(postgres_server.url(name)))
    yield swept_databases[0].url
    if not swept_databases[0].sweep():
        swept_databases.clear()


@pytest.fixture
def empty_database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """URL of a fresh database that holds nothing."""
    yield from _fresh_database(postgres_server, "template0")


@pytest.fixture
def broker_url(valkey_server: EmbeddedValkey) -> str:
    """URL of an empty broker, in Celery's form; results of earlier tests are gone too."""
    with valkey_server.client() as client:
        client.flushall()
    return valkey_server.url(0)


@pytest.fixture
def result_url(valkey_server: EmbeddedValkey, broker_url: str) -> str:
    """URL of an empty result store, in Celery's form."""
    return valkey_server.url(1)


@pytest.fixture
def worker_env(database: str, broker_url: str, result_url: str, tmp_path: Path) -> dict[str, str]:
    """Settings of a worker on this test's database, broker and folders."""
    inbox, artifacts = tmp_path / "inbox", tmp_path / "artifacts"
    inbox.mkdir()
    artifacts.mkdir()
    return {
        "CELERIAC_BROKER_URL": broker_url,
        "CELERIAC_RESULT_URL": result_url,
        "CELERIAC_DATABASE_URL": database,
        "CELERIAC_CATALOG": str(ROOT / "catalog"),
        "CELERIAC_ARTIFACTS": artifacts.as_uri(),
        "CELERIAC_INBOX": str(inbox),
    }


@pytest.fixture
def make_worker() -> Iterator[Callable[..., Worker]]:
    """Make workers with ``Worker``'s arguments; those that still run at the end are killed."""
    made: list[Worker] = []

    def make(*args: object, **kwargs: object) -> Worker:
        made.append(Worker(*args, **kwargs))  # type: ignore[arg-type]  # passed on as they came
        return made[-1]

    yield make
    for worker in made:
        worker.kill()


def _fresh_database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = _copy_of(server, template)
    yield server.url(name)
    # Tests that kill PostgreSQL leave it running again, or their database is not worth dropping.
    if server.is_running:
        _execute(server, "DROP DATABASE {} WITH (FORCE)", name)


def _copy_of(server: EmbeddedPostgres, template: str) -> str:
    name = f"test_{uuid4().hex[:12]}"
    # Copied file by file: without fsync less work than to log every page.
    _execute(server, "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, template)
    return name


def _execute(server: EmbeddedPostgres, text: str, *names: str) -> None:
    with closing(psycopg2.connect(server.url())) as connection:
        connection.autocommit = True  # databases are not made inside a transaction
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(text).format(*map(sql.Identifier, names)))
