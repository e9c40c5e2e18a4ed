"""One locked or dropped target does not hold up the others, and its own jobs are not lost."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from tests.acceptance.console import Console, console_on
from tests.acceptance.site import Site
from tests.integration.relays import RelayProcess
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("worker", "relay")

OTHERS = 20


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Give up on a lock soon."""
    return {"CELERIAC_LOCK_SECONDS": "0.3"}


@pytest.fixture(scope="module")
def relay(site: Site) -> Iterator[RelayProcess]:
    """What brings resumed jobs back into their queues."""
    relay = RelayProcess(site.env).start()
    yield relay
    relay.kill()


@pytest.fixture(scope="module")
def console(site: Site) -> Iterator[Console]:
    """Where the operator types."""
    with console_on(site.env) as console:
        yield console


@contextmanager
def locked(site: Site, table: str) -> Iterator[None]:
    """Hold a table as a migration or a VACUUM FULL does."""
    with closing(psycopg2.connect(site.database)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("seconds", [1, pytest.param(30, marks=pytest.mark.storm)])
def test_locked_target_waits_alone(site: Site, seconds: int) -> None:
    """Jobs of two other targets commit while one is locked; its own commit by themselves later."""
    waiting = [f"waiting-{seconds}-{n}" for n in range(5)]
    others = [f"other-{seconds}-{n}" for n in range(OTHERS)]
    with locked(site, "shop.alpha"):
        ends = time.monotonic() + seconds
        for id_ in waiting:
            site.send(id_, "alpha", [{"n": seconds, "note": id_}])
        for n, id_ in enumerate(others):
            site.send(id_, "beta" if n % 2 else "gamma", [{"n": n}])
        wait_for(lambda: len(site.states(*others)) == OTHERS, what="the others to commit")
        wait_for(lambda: time.monotonic() > ends, seconds + 1, "the lock's time")

        assert {"committed"} == set(site.states(*others).values())
        assert {} == site.states(*waiting)

    wait_for(lambda: len(site.states(*waiting)) == len(waiting), what="the waiting to commit")
    assert {"committed"} == set(site.states(*waiting).values())
    site.wait_until_settled()
    notes = site.query("SELECT note FROM shop.alpha WHERE n = %s ORDER BY 1", (seconds,))
    assert [(id_,) for id_ in waiting] == notes


@pytest.mark.parametrize("code", ["53100", "08006"])
def test_target_whose_trigger_is_in_trouble_waits_alone(site: Site, code: str) -> None:
    """What its trigger says of a disk or another server stops nobody else; it goes on by itself."""
    site.query(
        "CREATE FUNCTION shop.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" RAISE 'not now' USING ERRCODE = '{code}'; END $$;"
        "CREATE TRIGGER fails BEFORE INSERT ON shop.alpha FOR EACH ROW EXECUTE FUNCTION shop.fail()"
    )
    waiting = [f"troubled-{code}-{n}" for n in range(5)]
    others = [f"calm-{code}-{n}" for n in range(OTHERS)]

    for n, id_ in enumerate(others):
        if n < len(waiting):
            site.send(waiting[n], "alpha", [{"n": 4711, "note": waiting[n]}])
        site.send(id_, "beta", [{"n": n}])
    wait_for(lambda: len(site.states(*others)) == OTHERS, what="the others to commit")

    assert {"committed"} == set(site.states(*others).values())
    assert {} == site.states(*waiting)
    site.query("DROP FUNCTION shop.fail CASCADE")
    wait_for(lambda: len(site.states(*waiting)) == len(waiting), what="the waiting to commit")
    assert {"committed"} == set(site.states(*waiting).values())
    site.wait_until_settled()
    notes = site.query("SELECT note FROM shop.alpha WHERE note LIKE %s ORDER BY 1", (f"%{code}-%",))
    assert [(id_,) for id_ in waiting] == notes


def test_dropped_target_is_held_and_resumed(site: Site, console: Console) -> None:
    """Jobs of a dropped table are held with the reason; re-created and resumed, they commit."""
    site.query("DROP TABLE shop.gamma")
    results = [site.send(f"held-{n}", "gamma", [{"n": n}]) for n in range(3)]
    site.send("goes-on", "beta", [{"n": 1}]).get(timeout=60)
    wait_for(lambda: len(site.states("held-0", "held-1", "held-2")) == 3, what="all to be held")

    assert {"held"} == set(site.states("held-0", "held-1", "held-2").values())
    assert 'relation "shop.gamma" does not exist' in site.error("held-1")
    site.wait_until_settled()
    listed = console.said("targets", "list")
    assert "gamma  3 jobs" in listed
    assert 'relation "shop.gamma" does not exist' in listed

    site.query("CREATE TABLE shop.gamma (LIKE shop.beta INCLUDING ALL)")
    assert "3 jobs were enqueued again" in console.said("targets", "resume", "gamma")

    whole = {"rows": 1, "inserted": 1, "quarantined": 0}
    assert [whole] * 3 == [result.get(timeout=60) for result in results]
    assert [(0,), (1,), (2,)] == site.query("SELECT n FROM shop.gamma ORDER BY n")
    assert "no target is held" in console.said("targets", "list")


def test_resume_of_a_target_still_missing(site: Site, console: Console) -> None:
    """Resumed too early, the jobs are held again and nothing is lost."""
    site.query("ALTER TABLE shop.customer RENAME TO moved")
    site.send("early", "customer", [{"id": 1, "name": "a"}])
    site.wait_for_state("early", "held")
    site.wait_until_settled()

    console.said("targets", "resume", "customer")
    wait_for(lambda: site.query("SELECT 1 FROM celeriac.target_hold"), what="the hold to return")
    site.wait_until_settled()
    assert {"early": "held"} == site.states("early")

    site.query("ALTER TABLE shop.moved RENAME TO customer")
    console.said("targets", "resume", "customer")
    site.wait_for_state("early", "committed")
