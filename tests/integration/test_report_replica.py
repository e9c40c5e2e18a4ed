"""Reports that are read from a replica: they wait for a commit, and get out of recovery's way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.batches import body_of, child_on, settle_each
from tests.integration.replica import Replica
from tests.integration.shop import query, query_outside
from tests.waiting import wait_for
from worker.child import Child
from worker.delivery import Delivery, Fate, Settlement
from worker.embedded import EmbeddedPostgres

#: Two servers more than other tests need.
pytestmark = pytest.mark.storm

REPORTS = {
    "counted": "*/ SELECT count(*) FROM public.seen",
    "slow": "*/ SELECT pg_sleep(60) FROM public.seen LIMIT 1",
}


@pytest.fixture(scope="module")
def replica(
    postgres_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedPostgres]:
    """A replica of the server of this test process."""
    replica = Replica(tmp_path_factory.mktemp("replica"), postgres_server)
    replica.start()
    yield replica
    replica.remove()


@pytest.fixture
def child(database: str, replica: EmbeddedPostgres, tmp_path: Path) -> Iterator[Child]:
    """A child that writes to the primary and reads reports from the replica."""
    reports = tmp_path / "catalog" / "reports"
    reports.mkdir(parents=True)
    for name, text in REPORTS.items():
        (reports / f"{name}.sql").write_text(f"/* celeriac\ntitle='T'\nformat='csv'\n{text}")
    (reports.parent / "targets.toml").touch()
    query(database, "CREATE TABLE public.seen (n int); INSERT INTO public.seen VALUES (1)")
    name = query(database, "SELECT current_database()")[0][0]
    here = replica.url(name)
    wait_for(lambda: is_there(here), what="the replica to have the table")
    with child_on(
        database,
        tmp_path / "artifacts",
        catalog=reports.parent,
        report_database=here,
        company_seconds=30,
    ) as child:
        yield child


def is_there(database: str) -> bool:
    """Tell whether the replica has the table."""
    try:
        return bool(query(database, "SELECT 1 FROM public.seen"))
    except Exception:  # noqa: BLE001 - no database yet, or no table
        return False


def ask(child: Child, id_: str, name: str, **more: object) -> Settlement:
    (settled,) = settle_each(
        child, Delivery(id_, "celeriac.report", body_of({"name": name, **more}))
    )
    return settled


def test_report_shows_the_commit_that_it_comes_after(child: Child) -> None:
    """While the replica has not replayed it, the report waits; its answer then shows it."""
    query_outside(child.reports.url, "SELECT pg_wal_replay_pause()")
    query(child.pool.url, "INSERT INTO public.seen VALUES (2)")
    ((position,),) = query(child.pool.url, "SELECT pg_current_wal_lsn()::text")
    first = ask(child, "first", "counted")

    early = [ask(child, "a", "counted", after=after) for after in ("first", position)]
    query_outside(child.reports.url, "SELECT pg_wal_replay_resume()")
    late = wait_for(lambda: ended(ask(child, "a", "counted", after="first")), what="the commit")
    later = wait_for(lambda: ended(ask(child, "b", "counted", after=position)), what="the place")

    assert ["count\n1\n", "count\n2\n", "count\n2\n"] == [text(one) for one in (first, late, later)]
    assert [Fate.TAKEN] * 2 == [one.fate for one in early]


def test_conflict_with_recovery_is_nobodys_fault(child: Child) -> None:
    """A query that the replica cancels to go on is tried again; nothing is counted."""
    running = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '/* celeriac report=slow %%'"

    with ThreadPoolExecutor(1) as pool:
        asked = Delivery("slow", "celeriac.report", body_of({"name": "slow"}), takes_long=True)
        future = pool.submit(settle_each, child, asked)
        wait_for(lambda: query(child.reports.url, running), what="the query")
        query(child.pool.url, "ALTER TABLE public.seen ADD COLUMN more int")
        (settled,) = future.result(50)

    assert Fate.TAKEN == settled.fate, settled
    assert "conflict with recovery (SQLSTATE 40001" in str(settled.error)


def ended(settlement: Settlement) -> Settlement | None:
    """Return a settlement that is an end."""
    return settlement if settlement.fate is Fate.COMMITTED else None


def text(settlement: Settlement) -> str:
    """Read the file that a job answered with."""
    assert settlement.result is not None, settlement
    return Path(settlement.result["url"].removeprefix("file://")).read_text()
