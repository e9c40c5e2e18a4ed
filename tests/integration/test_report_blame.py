"""What goes wrong with a report's server or its session is told from what goes wrong with it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from postgres.pool import Pool, PoolLimits
from postgres.snapshot import snapshot
from postgres.transaction import transaction
from tasks.kind import Job, Tools, Waits
from tasks.report import ReportPayload
from tasks.reports.asked import gather
from tasks.reports.company import Company
from tasks.reports.declared.catalog import load_reports
from tasks.reports.losses import MOST_LOSSES
from tasks.reports.request import request_of
from tests.integration.batches import body_of, child_on, settle, settle_each
from tests.integration.shop import query
from worker.child import Child
from worker.delivery import Delivery, Fate

#: Long enough that a host which stands still for a moment cuts nothing off.
COMPANY_SECONDS = 5.0
REPORTS = {
    "small": "[params.n]\ntype = 'int'\n*/ SELECT :n AS n",
    "deadly": "*/ SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)",
    "full": "*/ SELECT public.full_disk()",
    "hasty": "timeout = 1\n*/ SELECT 1 AS n",
}
FULL_DISK = """CREATE FUNCTION public.full_disk() RETURNS int LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalog of reports, two of which bring trouble."""
    (tmp_path / "catalog" / "reports").mkdir(parents=True)
    for name, text in REPORTS.items():
        path = tmp_path / "catalog" / "reports" / f"{name}.sql"
        path.write_text(f"/* celeriac\ntitle = '{name}'\nformat = 'csv'\n{text}")
    (tmp_path / "catalog" / "targets.toml").touch()
    return tmp_path / "catalog"


@pytest.fixture
def child(database: str, catalog: Path, tmp_path: Path) -> Iterator[Child]:
    """A child that answers these reports."""
    query(database, FULL_DISK)
    artifacts = tmp_path / "artifacts"
    with child_on(database, artifacts, catalog=catalog, company_seconds=COMPANY_SECONDS) as child:
        yield child


def ask(id_: str, name: str, *, takes_long: bool = False, **more: Any) -> Delivery:
    """Make the delivery of one report."""
    body = body_of({"name": name, **more})
    return Delivery(id_, "celeriac.report", body, takes_long=takes_long)


def small(number: int) -> Delivery:
    return ask(f"small-{number}", "small", params={"n": number})


@pytest.mark.parametrize("name", ["deadly", "full"])
def test_one_that_brings_trouble_goes_alone(child: Child, name: str) -> None:
    """First of its batch, it lets the others go first the next time, and they commit."""
    batch = [ask("bad", name), small(1), small(2)]

    first = [one.fate for one in settle_each(child, *batch)]
    second = [one.fate for one in settle_each(child, *batch)]
    (alone,) = settle_each(child, ask("bad", name, takes_long=True))

    assert [Fate.WORKING, Fate.GIVEN_BACK, Fate.GIVEN_BACK] == first
    assert [Fate.WORKING, Fate.COMMITTED, Fate.COMMITTED] == second
    assert Fate.TAKEN == alone.fate
    assert f"report {name}: the database that reports read is in trouble" in str(alone.error)


def test_one_that_always_loses_its_session_is_buried(child: Child) -> None:
    """It waits by itself and is tried again, so often and no more."""
    deadly = ask("deadly", "deadly", takes_long=True)

    tries = [settle_each(child, deadly)[0].fate for _ in range(MOST_LOSSES)]
    (buried,) = settle_each(child, deadly)

    assert [Fate.TAKEN] * MOST_LOSSES == tries
    assert Fate.DEAD == buried.fate
    assert f"its connection was lost {MOST_LOSSES} times" in str(buried.error)


def test_only_reports_wait_for_their_own_database(
    database: str, catalog: Path, tmp_path: Path
) -> None:
    """What they read is away, and the ledger is not: each waits by itself, and says for what."""
    away = f"postgresql://nobody@/none?host={tmp_path}"
    with child_on(database, tmp_path / "a", catalog=catalog, report_database=away) as child:
        settled = settle(
            child,
            small(1),
            ask("after", "small", params={"n": 2}, after="0/1"),
            ask("long", "small", params={"n": 3}),
        )
        (long,) = settle_each(child, ask("long", "small", takes_long=True, params={"n": 3}))

    assert {Fate.TAKEN} == {one.fate for one in [*settled.values(), long]}
    words = "report small: the database that reports read is in trouble"
    assert all(words in str(one.error) for one in [*settled.values(), long])


def test_no_time_of_a_report_passes_before_it_begins(
    database: str, catalog: Path, tmp_path: Path
) -> None:
    """What takes long to be loaded ends the batch; the report is given back, not buried."""
    drafts, pool = tmp_path / "artifacts" / ".drafts", Pool(database, PoolLimits(2))
    tools = Tools(
        catalog, str(tmp_path / "artifacts"), None, partial(snapshot, pool), 60.0, company_seconds=5
    )
    reports = load_reports(catalog, 60.0)
    asking = [
        (Job(name, ReportPayload(name)), request_of(reports, name, params, None), None)
        for name, params in (("small", {"n": 1}), ("hasty", {}))
    ]
    company = Company(
        tools,
        lambda _: None,
        # An hour passes while the second one's draft is begun.
        clock=lambda: 3600.0 * (len(list(drafts.glob("*.csv"))) > 1),
    )

    with transaction(pool) as cursor:
        cursor.execute(
            "INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker)"
            " VALUES ('small', 'celeriac.report', 'small', 'committed', 1, '', 'test')"
        )
        outcomes = {one.job_id: one for one in company.run(gather(asking), cursor)}
    pool.close()

    assert "committed" == outcomes["small"].state
    assert ("queued", Waits.NOT_AT_ALL) == (outcomes["hasty"].state, outcomes["hasty"].waits)
