"""The examples of enqueueing, and the page's bare message, end in committed rows."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from tests.docs.conftest import Site
from tests.docs.markdown import blocks, table
from tests.faults.redis_state import redis_client
from tests.integration.relays import RelayProcess
from tests.waiting import wait_for
from tests.workers import ROOT

EXAMPLES = ROOT / "examples"
EXAMPLE_SECONDS = 60
WAIT_SECONDS = 60.0
URLS = ("CELERIAC_BROKER_URL", "CELERIAC_RESULT_URL")
PAGE = ROOT / "docs" / "other-languages.md"
HEADER = "| in the text | put there |"

FLIGHT = """
    INSERT INTO public.flights SELECT
        2013, 1, 1, {leaves}, 515, {delay}, 830, 819, 11, 'UA', {number}, 'N14228', 'EWR', 'IAH',
        227, 1400, 5, 15, '2013-01-01T10:00Z'
"""
TWO_FLIGHTS = ";".join(
    FLIGHT.format(leaves=leaves, delay=delay, number=number)
    for leaves, delay, number in ((517, 2, 1545), ("NULL", "NULL", 1546))
)


@pytest.fixture(scope="module")
def running_site(open_site: Callable[..., Site]) -> Iterator[Site]:
    """The demo's catalog with a worker and a relay, as `make run` has them."""
    catalog = ROOT / "catalog"
    tables = (catalog / "tables.sql").read_text()
    site = open_site(catalog, tables, "celeriac.ingest,celeriac.report", {})
    relay = RelayProcess(site.env).start()
    yield site
    relay.kill()


@pytest.fixture
def site(running_site: Site) -> Site:
    """The same, with empty tables."""
    running_site.query("TRUNCATE public.flights, public.departures")
    return running_site


def test_plain_celery_needs_nothing_of_ours(site: Site) -> None:
    """The example enqueues with Celery alone, and prints what became of its jobs."""
    lines = _run("plain_celery.py", *map(site.env.__getitem__, URLS)).splitlines()

    assert [
        "one job: {'rows': 1, 'inserted': 1, 'quarantined': 0}",
        "the same again: {'rows': 1, 'inserted': 1, 'quarantined': 0}",
        "many jobs: 20 rows",
        "later: 1 row",
        "a report: csv",
    ] == lines[:5]
    assert "missing required field `rows`" in lines[5]
    assert [(21,)] == site.query("SELECT count(*) FROM public.departures")


def test_pandas_notebook_moves_a_frame(site: Site) -> None:
    """What `read_sql_query` gave is sent as jobs, missing values and whole numbers intact."""
    site.query(TWO_FLIGHTS)

    printed = [_run("pandas_notebook.py", env=site.env | _path()) for _ in range(2)]

    assert ["2 flights", "2 rows in 1 jobs"] == printed[0].splitlines()[:2]
    assert printed[0] == printed[1]
    arrived = "SELECT flight, delay_minutes FROM public.departures ORDER BY flight"
    assert [(1545, 2), (1546, None)] == site.query(arrived)


@pytest.mark.parametrize("psql", [shutil.which("psql"), None], ids=["psql", "driver"])
def test_sql_alone_enqueues(site: Site, psql: str | None) -> None:
    """The statements of enqueue.sql run, and what they committed is done; twice is once."""
    for _ in range(2):
        _run_sql(site, psql)

    states = "SELECT celeriac.state(unnest(ARRAY['booking-1017', 'departure-18-2014-02-10']))"
    wait_for(lambda: site.query(states) == 2 * [("committed",)], WAIT_SECONDS, "the jobs")
    others = "SELECT celeriac.state(unnest(ARRAY['booking-undone', 'booking-report']))"
    assert [("unknown",), ("cancelled",)] == site.query(others)
    jobs = "SELECT count(*) FROM celeriac.job WHERE id ~ '^(booking-1017|departure-18-)'"
    assert [(11,)] == site.query(jobs)


@pytest.mark.parametrize("way", ["plain", "optional"])
def test_another_language_enqueues_by_the_page_alone(site: Site, way: str) -> None:
    """A message put together from the page's text is committed, and answered where it says."""
    job_id = f"other-language-{way}"
    message = json.loads(_filled("json message", _texts(job_id)))
    if way == "optional":
        message["headers"] |= _optional(datetime.now(UTC))

    with redis_client(site.env["CELERIAC_BROKER_URL"]) as broker:
        broker.lpush("celeriac.ingest", json.dumps(message))
    answer = _answer(site, f"celery-task-meta-{job_id}")

    promised = json.loads(_block("json answer"))
    assert promised == {name: answer[name] for name in promised}
    assert [("committed",)] == site.query(f"SELECT state FROM celeriac.job WHERE id = '{job_id}'")


def _texts(job_id: str) -> dict[str, str]:
    """What a reader of the page puts in the places that its table names."""
    body = base64.b64encode(_block("json body").encode()).decode()
    places = [place.strip("`") for place, _ in table(PAGE, HEADER)]
    texts = ("celeriac.ingest", job_id, body, f"tag of {job_id}", "celeriac.ingest")
    return dict(zip(places, texts, strict=True))


def _optional(now: datetime) -> dict[str, Any]:
    named = {name.strip("`") for name, _ in table(PAGE, "| header | means |")}
    given = {
        "eta": (now + timedelta(seconds=1)).isoformat(),
        "expires": (now + timedelta(hours=1)).isoformat(),
        "ignore_result": False,
        "enqueued_at": now.isoformat(),
    }
    assert named == set(given)
    return given


def _filled(info: str, texts: Mapping[str, str]) -> str:
    text = _block(info)
    for place, value in texts.items():
        assert place in text, place
        text = text.replace(place, value)
    return text


def _block(info: str) -> str:
    (found,) = (block.text for block in blocks(PAGE) if block.info == info)
    return found


def _answer(site: Site, key: str) -> dict[str, Any]:
    with redis_client(site.env["CELERIAC_RESULT_URL"]) as results:
        wait_for(lambda: results.exists(key), WAIT_SECONDS, key)
        return json.loads(results.get(key))


def _run_sql(site: Site, psql: str | None) -> None:
    script = EXAMPLES / "enqueue.sql"
    if psql:
        command = [psql, site.database, "-v", "ON_ERROR_STOP=1", "-f", str(script)]
        subprocess.run(command, check=True, capture_output=True, timeout=EXAMPLE_SECONDS)
        return
    with closing(psycopg2.connect(site.database)) as connection:
        connection.autocommit = True  # it begins and ends its transactions itself
        with connection.cursor() as cursor:
            cursor.execute(script.read_text())


def _run(example: str, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    # Without our tree on its path, if it is not asked for.
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        env=bare | dict(env or {}),
        capture_output=True,
        text=True,
        timeout=EXAMPLE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _path() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT / "client" / "src")}
