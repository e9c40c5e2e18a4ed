"""PostgreSQL restarts or crashes in mid-stream: everything commits once, nothing is buried."""

from collections.abc import Callable, Iterator

import pytest

from postgres.migrate import migrate
from tests.acceptance.site import Site, make_site
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedPostgres, EmbeddedValkey

JOBS = 150


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that no other test uses."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("own"))
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def site(
    own_postgres: EmbeddedPostgres,
    valkey_server: EmbeddedValkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    """A deployment on the server that is going to fall."""
    migrate(own_postgres.url())
    return make_site(own_postgres.url(), valkey_server, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Small batches, so that the fall comes between many of them."""
    return {"CELERIAC_BATCH_JOBS": "5"}


@pytest.mark.parametrize("end", [EmbeddedPostgres.stop, EmbeddedPostgres.kill])
def test_jobs_survive_postgres(
    site: Site,
    worker: Worker,
    own_postgres: EmbeddedPostgres,
    end: Callable[[EmbeddedPostgres], None],
) -> None:
    """Jobs sent before, while and after it is away commit once each, without anybody's help."""
    name = end.__name__
    troubles = worker.log.count("PostgreSQL is in trouble")
    send(site, f"{name}-before")
    wait_for(lambda: committed(site, name) > 0, what="the first to commit")

    end(own_postgres)
    send(site, f"{name}-while")
    wait_for(lambda: worker.log.count("PostgreSQL is in trouble") > troubles, what="it to notice")
    own_postgres.start()
    send(site, f"{name}-after")

    wait_for(lambda: committed(site, name) == 3 * JOBS, what="all to commit")
    site.wait_until_settled()
    assert [(3 * JOBS, 3 * JOBS)] == site.query(
        "SELECT count(*), count(DISTINCT note) FROM shop.alpha WHERE note LIKE %s", (f"{name}-%",)
    )
    assert [] == site.query("SELECT id, error FROM celeriac.job WHERE state <> 'committed'")
    assert [(1,)] == site.query("SELECT max(attempts) FROM celeriac.job")


def test_trouble_is_said_once(worker: Worker) -> None:
    """The worker says once for each fall that it waits, and once that it goes on."""
    assert 2 == worker.log.count("PostgreSQL is in trouble") == worker.log.count("is back")


def send(site: Site, prefix: str) -> None:
    """Send some jobs of one row."""
    for n in range(JOBS):
        id_ = f"{prefix}-{n}"
        site.send(id_, "alpha", [{"n": n, "note": id_}], ignore_result=True)


def committed(site: Site, prefix: str) -> int:
    """Count the committed jobs of a prefix."""
    query = "SELECT count(*) FROM celeriac.job WHERE state = 'committed' AND id LIKE %s"
    ((count,),) = site.query(query, (f"{prefix}-%",))
    return int(count)
