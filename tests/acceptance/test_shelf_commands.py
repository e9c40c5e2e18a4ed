"""The commands for what was set aside, as an operator types them, against a worker and a relay."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.acceptance.console import Console, console_on
from tests.acceptance.site import Site
from tests.integration.relays import RelayProcess
from tests.integration.shelf import BAD_PRICE, BAD_TYPE, GOOD
from tests.waiting import wait_for
from tests.workers import ROOT

pytestmark = pytest.mark.usefixtures("worker", "relay")

ENTRIES = 1_500
MAKE_ENTRIES = """
    INSERT INTO celeriac.quarantine (job_id, row_number, target, row, sqlstate, message)
    SELECT 'many', n, 'beta', json_build_object('n', n), '23514', 'made by the test'
    FROM generate_series(1, %s) AS n
"""
MAKE_JOB = """
    INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker, committed_at)
    VALUES ('many', 'celeriac.ingest', 'beta', 'committed', 1, '', 'test', now())
"""


@pytest.fixture(scope="module")
def relay(site: Site) -> Iterator[RelayProcess]:
    """A relay beside the worker."""
    relay = RelayProcess(site.env)
    relay.start()
    yield relay
    relay.kill()


@pytest.fixture(scope="module")
def console(site: Site) -> Iterator[Console]:
    """Where the operator types."""
    with console_on(site.env) as console:
        yield console


def test_rows_go_from_the_quarantine_through_a_file_into_their_target(
    site: Site, console: Console, tmp_path: Path
) -> None:
    """List, show, export, edit, replay: the rows are committed and their entries closed."""
    site.send("came", "item", [GOOD, BAD_PRICE, BAD_TYPE])
    site.wait_for_state("came", "committed")
    first, second = entry_ids(site, "came")

    listed = console.said("quarantine", "list", "--job", "came")
    assert "item_price_check" in listed
    assert "22P02" in console.said("quarantine", "list", "--reason", "22p02")
    shown = console.said("quarantine", "show", str(second))
    assert '> price  "dear"' in shown
    assert "came, row 3" in shown

    file = tmp_path / "rows.csv"
    console.said("quarantine", "export", "--job", "came", "--output", str(file))
    edit_csv(file, {str(first): {**BAD_PRICE, "price": 1}, str(second): {**BAD_TYPE, "price": 2}})
    assert "2 rows of item would be replayed" in console.said(
        "quarantine", "replay", "--from", str(file), "--dry-run"
    )
    assert "2 rows enqueued in 1 job" in console.said("quarantine", "replay", "--from", str(file))

    wait_for(lambda: states(site, "came") == ["replayed"] * 2, what="the entries to be closed")
    assert [(1, 2), (2, 1), (3, 2)] == site.query("SELECT id, price FROM shop.item ORDER BY id")
    again = console.run("quarantine", "replay", "--from", str(file))
    assert (1, "") == (again.returncode, again.stdout)
    assert f"line 2, entry {first}: it is replayed by now" in again.stderr


def test_replay_killed_in_the_middle_is_run_again(site: Site, console: Console) -> None:
    """SIGKILL between two pages leaves whole pages; run again, each row is in the target once."""
    site.query(MAKE_JOB)
    site.query(MAKE_ENTRIES, (ENTRIES,))
    command = [sys.executable, "-m", "worker", "quarantine", "replay", "--job", "many"]
    env = os.environ | site.env | {"PYTHONPATH": f"{ROOT}:{ROOT / 'client' / 'src'}"}
    with closing(psycopg2.connect(site.database)) as connection:
        with connection.cursor() as cursor:
            last = "SELECT 1 FROM celeriac.quarantine WHERE job_id = 'many' AND row_number = %s"
            cursor.execute(f"{last} FOR UPDATE", (ENTRIES,))
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
            blocked = (
                "SELECT 1 FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            wait_for(lambda: site.query(blocked), what="the second page to wait")
            process.send_signal(signal.SIGKILL)
            process.wait(60)
    replayed = set(states(site, "many"))
    assert "quarantined" in replayed
    assert len(replayed) > 1

    console.said("quarantine", "replay", "--job", "many")

    wait_for(lambda: set(states(site, "many")) == {"replayed"}, what="all to be replayed")
    assert [(ENTRIES, ENTRIES)] == site.query("SELECT count(*), count(DISTINCT n) FROM shop.beta")


def test_buried_job_is_redriven_with_other_arguments(site: Site, console: Console) -> None:
    """List, show, edit, redrive: the job commits under its old id."""
    result = site.send("lost", "gama", [{"n": 1}], ignore_result=True)
    site.wait_for_state("lost", "dead")

    assert "target 'gama' is not in the catalog" in console.said("jobs", "list", "--reason", "gama")
    shown = console.said("jobs", "show", result.id)
    assert 'target  "gama"' in shown
    arguments = console.said("jobs", "show", "lost", "--payload").replace("gama", "gamma")
    assert "1 job redriven" in console.said(
        "jobs", "redrive", "lost", "--payload", "-", typed=arguments
    )

    site.wait_for_state("lost", "committed")
    assert [(1,)] == site.query("SELECT n FROM shop.gamma")


def test_group_of_jobs_is_redriven_and_another_discarded(site: Site, console: Console) -> None:
    """A filter chooses many; what was discarded is cancelled, and asked for first."""
    for n in range(3):
        site.send(f"group-{n}", "nowhere", [{"n": n}])
    wait_for(lambda: len(site.states("group-0", "group-1", "group-2")) == 3, what="all to die")

    refused = console.run("jobs", "discard", "group-0", typed="n\n")
    assert (1, "dead") == (refused.returncode, site.states("group-0")["group-0"])
    assert "1 job discarded" in console.said("jobs", "discard", "group-0", "--yes")
    assert "2 jobs redriven" in console.said("jobs", "redrive", "--reason", "nowhere")

    again = {"group-1": "dead", "group-2": "dead"}
    wait_for(lambda: site.states(*again) == again, what="both to die again")
    assert "cancelled" == site.states("group-0")["group-0"]
    assert "discarded by" in console.said("jobs", "show", "group-0")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["quarantine", "list", "--target", "none"], 0, "no such row is in the quarantine"),
        (["quarantine", "replay", "--target", "none"], 0, "nothing was replayed"),
        (["quarantine", "discard", "--target", "none"], 0, "nothing was discarded"),
        (["quarantine", "replay", "999999"], 1, "there is no entry 999999"),
        (["quarantine", "show", "999999"], 1, "list --state any"),
        (["quarantine", "replay"], 2, "which rows?"),
        (["quarantine", "list", "--since", "soon"], 2, "'soon' is no time"),
        (["jobs", "list", "--task", "none"], 0, "no such job is dead or held"),
        (["jobs", "show", "none"], 1, "does not know job 'none'"),
        (["jobs", "redrive", "none"], 1, "does not know it"),
        (["jobs", "redrive"], 2, "which jobs?"),
        (["jobs", "purge"], 0, "forgotten"),
    ],
)
def test_commands_say_what_they_found(
    site: Site, console: Console, arguments: list[str], status: int, words: str
) -> None:
    """Nothing found is said, mistakes name the next step, and exit statuses tell them apart."""
    done = console.run(*arguments)

    assert status == done.returncode, done.stderr
    assert words in done.stdout + done.stderr


def edit_csv(file: Path, rows: dict[str, object]) -> None:
    """Do what a spreadsheet does: other rows for these entries."""
    with file.open(newline="") as source:
        records = list(csv.DictReader(source))
    with file.open("w", newline="") as target:
        writer = csv.DictWriter(target, list(records[0]))
        writer.writeheader()
        writer.writerows(one | {"row": json.dumps(rows[one["id"]])} for one in records)


def entry_ids(site: Site, job: str) -> list[int]:
    """Return the numbers of a job's entries."""
    text = "SELECT id FROM celeriac.quarantine WHERE job_id = %s ORDER BY id"
    return [id_ for (id_,) in site.query(text, (job,))]


def states(site: Site, job: str) -> list[str]:
    """Return the states of a job's entries."""
    text = "SELECT state FROM celeriac.quarantine WHERE job_id = %s ORDER BY id"
    return [state for (state,) in site.query(text, (job,))]
