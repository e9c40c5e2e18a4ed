"""``python -m worker doctor`` against a deployment that lives."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.console import Console, Said, console_on
from tests.acceptance.site import Site
from tests.files import write
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def console(site: Site) -> Iterator[Console]:
    """Where the operator types."""
    with console_on(site.env) as console:
        yield console


def test_what_runs_is_found_and_what_is_missing_is_told(site: Site, console: Console) -> None:
    """The running worker consumes its queue; the one that is missing is named; status 2."""
    site.redis.lpush("celery", "{}")

    def told() -> Said | None:
        said = console.run("doctor", "--json")
        return said if "1 worker may open" in said.stdout else None

    # On a busy machine a worker may not answer in the time that the doctor gives it.
    said = wait_for(told, what="the worker to be heard")

    answer = json.loads(said.stdout)
    found = {one["about"]: one for one in answer["findings"]}
    assert (2, "problem") == (said.returncode, answer["status"])
    assert "ok" == found["queue celeriac.ingest"]["level"]
    assert "warning" == found["queue celeriac.report"]["level"]
    assert "problem" == found["queue celery"]["level"]
    assert "1 child of 1 worker may open 2 connections" in found["connections"]["sentence"]
    assert "1 worker alive, none expired" == found["leases"]["sentence"]
    assert "ok" == found["schema"]["level"]


def test_a_reader_gets_plain_lines(console: Console) -> None:
    """Each trouble is a line with its remedy below it; the last line sums up."""
    said = console.run("doctor")

    lines = said.stdout.splitlines()
    at = lines.index(
        "problem  PostgreSQL: fsync is off: a crash of the machine can destroy committed jobs"
    )
    assert lines[at + 1].strip().startswith("→ in psql: ALTER SYSTEM SET fsync = on")
    assert lines[-1].endswith("things looked at")


def test_reports_are_compared_with_their_database(site: Site, tmp_path: Path) -> None:
    """A query on a table that is not there, a broken declaration, a database that is away."""
    folder = tmp_path / "catalog"
    (folder / "reports").mkdir(parents=True)
    write(folder / "targets.toml", "")
    elsewhere = site.database.replace("postgres@", "postgres:x@")
    own = {"CELERIAC_CATALOG": str(folder), "CELERIAC_REPORT_DATABASE_URL": elsewhere}
    with console_on(site.env | own) as console:
        write(folder / "reports" / "gone.sql", report("title", "SELECT * FROM nowhere"))
        gone = console.run("doctor").stdout
        write(folder / "reports" / "gone.sql", report("titel", "SELECT 1"))
        broken = console.run("doctor").stdout
    own["CELERIAC_REPORT_DATABASE_URL"] = "postgresql://postgres@127.0.0.1:1/nowhere"
    with console_on(site.env | own) as console:
        away = console.run("doctor").stdout

    assert "no replica" in gone
    assert 'relation "nowhere" does not exist' in gone
    assert "→ mend that, then: python -m worker reports check gone" in gone
    assert "titel" in broken
    assert "problem  report database: cannot be asked at" in away


def report(word: str, query: str) -> str:
    """Write a report whose title is declared by this word."""
    return f'/* celeriac\n{word} = "Gone"\n*/\n{query}'
