"""Reports that run by themselves, as docs/schedule.md declares them: from the tick to the file."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tasks.reports.declared.catalog import load_reports
from tasks.reports.declared.schedule import Missed
from tests.acceptance.console import console_on
from tests.docs.markdown import blocks
from tests.integration.relays import relay_on, turns
from tests.integration.schedulers import enqueued, neglect, scheduler_on
from tests.integration.shop import query
from tests.waiting import wait_for
from tests.workers import ROOT, Worker
from worker.schedule.plan import plans_of

PAGE = ROOT / "docs" / "schedule.md"
INFO = "sql scheduled "
ENDS = """
    SELECT id, state, result ->> 'url' FROM celeriac.job
    WHERE subject = 'jobs_of_a_day' ORDER BY id
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """The reports of the page."""
    reports = tmp_path / "catalog" / "reports"
    reports.mkdir(parents=True)
    (reports.parent / "targets.toml").touch()
    for block in blocks(PAGE):
        if block.info.startswith(INFO):
            (reports / f"{block.info.removeprefix(INFO)}.sql").write_text(block.text)
    return reports.parent


def test_missed_days_are_reported_each_as_of_its_own(
    worker_env: dict[str, str], catalog: Path, make_worker: Callable[..., Worker]
) -> None:
    """Two days without a scheduler become two files, which tell of two different days."""
    env = worker_env | {"CELERIAC_CATALOG": str(catalog)}
    database = env["CELERIAC_DATABASE_URL"]
    worker = make_worker(env, queues="celeriac.report").start()
    plans = plans_of(load_reports(catalog).values(), Missed.SKIP)

    with scheduler_on(database, plans) as scheduler, relay_on(env) as relay:
        scheduler.turn()
        # And an hour: one day of the year is so much longer.
        neglect(database, timedelta(days=2, hours=1))
        scheduler.turn()
        turns(relay)
    wait_for(lambda: not enqueued(database), 60, "both jobs to end")

    ends = query(database, ENDS)
    assert {"committed"} == {state for _, state, _ in ends}, worker.log
    # Three, when it is shortly after midnight.
    assert len(ends) in {2, 3}
    ticks = [id_.removeprefix("tick:jobs_of_a_day:")[:10] for id_, _, _ in ends]
    # Midnight in Berlin is in the evening before in UTC; the report tells of the day that ended.
    lines = [f"day,jobs\n{date.fromisoformat(tick)},0\n" for tick in ticks]
    files = [Path(unquote(urlsplit(url).path)).read_text() for _, _, url in ends]
    assert lines == [text.replace("\r\n", "\n") for text in files]


def test_list_shows_what_comes_next(worker_env: dict[str, str], catalog: Path) -> None:
    """Each scheduled report of the catalog is listed with its next ticks; a bad one is told."""
    with console_on(worker_env | {"CELERIAC_CATALOG": str(catalog)}) as console:
        said = console.said("schedule", "--list")
        path = catalog / "reports" / "jobs_so_far.sql"
        path.write_text(path.read_text().replace("mon-fri", "mon-fry"))
        done = console.run("schedule")

    heads = [line for line in said.splitlines() if not line.startswith(" ")]
    assert [
        "jobs_of_a_day  0 0 * * *  Europe/Berlin  missed: all",
        "jobs_so_far  15 6 * * mon-fri  Europe/Berlin  missed: last",
    ] == heads
    assert 2 * 3 == said.count(":15 CE") + said.count("00:00 CE")
    assert 0 != done.returncode
    assert re.search(r"jobs_so_far\.sql: line \d+: schedule must be five fields", done.stderr)
