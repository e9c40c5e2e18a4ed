"""One deployment and one running worker for all tests of a module."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.acceptance.site import Site, make_site
from tests.integration.shop import query_outside
from tests.workers import Worker
from worker.embedded import EmbeddedPostgres, EmbeddedValkey


@pytest.fixture(scope="module")
def site(
    postgres_server: EmbeddedPostgres,
    valkey_server: EmbeddedValkey,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A database with the shop's tables, an empty broker, an empty result store."""
    name = f"site_{uuid4().hex[:12]}"
    query_outside(postgres_server.url(), f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    database = postgres_server.url(name)
    yield make_site(database, valkey_server, tmp_path_factory.mktemp("site"))
    query_outside(postgres_server.url(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Further settings of the module's worker; a module overrides this to have some."""
    return {}


@pytest.fixture(scope="module")
def worker(site: Site, settings: dict[str, str]) -> Iterator[Worker]:
    """The module's worker: one main process, one child, consuming ingest jobs."""
    worker = Worker(site.env | settings).start()
    yield worker
    lives = worker.is_running
    worker.kill()
    assert lives, f"the worker ended by itself:\n{worker.log[-3000:]}"
