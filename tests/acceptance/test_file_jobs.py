"""File jobs as their producers see them: progress, ends, and what happens under way."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.acceptance.console import Console, console_on
from tests.faults.depot_site import APP, QUEUE, SECONDS, DepotSite, make_site
from tests.faults.file_points import FilePoint
from tests.integration.depot import parcels, write_csv
from tests.integration.relays import RelayProcess
from tests.integration.shop import query_outside
from tests.waiting import wait_for
from tests.workers import Worker
from worker.embedded import EmbeddedPostgres, EmbeddedValkey

ROWS = 450


@pytest.fixture(scope="module")
def site(
    postgres_server: EmbeddedPostgres,
    valkey_server: EmbeddedValkey,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DepotSite]:
    """A depot for all tests of this module."""
    name = f"depot_{uuid4().hex[:12]}"
    query_outside(postgres_server.url(), f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    yield make_site(postgres_server.url(name), valkey_server, tmp_path_factory.mktemp("depot"))
    query_outside(postgres_server.url(), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def worker(site: DepotSite) -> Iterator[Worker]:
    """A worker of one child, which stops where it is told to."""
    worker = Worker(site.env, queues=QUEUE, app=APP).start()
    yield worker
    lives = worker.is_running
    worker.kill()
    assert lives, f"the worker ended by itself:\n{worker.log[-3000:]}"


@pytest.fixture
def file(site: DepotSite) -> Path:
    """A file of several chunks; the table is empty."""
    site.query("TRUNCATE depot.parcel")
    return write_csv(site.inbox / f"{uuid4().hex}.csv", parcels(ROWS))


def stopped(site: DepotSite, worker: Worker, id_: str, file: Path, chunks: int) -> int:
    """Send a file job and stop its child when so many chunks are committed."""
    site.stop_at(FilePoint.STEP_COMMITTED, chunks)
    site.send(id_, "parcel", file)
    return site.wait_for_stop(worker.children())


def test_producer_gets_accounts(site: DepotSite, worker: Worker, file: Path) -> None:
    """The result of a file job says how its rows ended, once all are committed."""
    result = site.send("accounts", "parcel", file).get(timeout=60)

    assert {"rows": ROWS, "inserted": ROWS, "quarantined": 0} == result
    assert Counter(parcels(ROWS)) == site.stored()


def test_progress_is_seen(site: DepotSite, worker: Worker, file: Path) -> None:
    """While a job runs, its result says how far it is, and stock Celery calls that PROGRESS."""
    site.stop_at(FilePoint.COPIED, 3)
    result = site.send("progress", "parcel", file)
    child = site.wait_for_stop(worker.children())

    wait_for(lambda: result.state == "PROGRESS", what="progress to be told")

    info: dict[str, Any] = result.info
    assert (100, 0, file.stat().st_size) == (
        info["rows"],
        info["quarantined"],
        info["total_bytes"],
    )
    assert info["rows_per_second"] > 0
    os.kill(child, signal.SIGCONT)
    assert ROWS == result.get(timeout=60)["rows"]


def test_changed_file_is_refused(site: DepotSite, worker: Worker, file: Path) -> None:
    """A file that another one takes the place of is not mixed with it: the job is buried."""
    child = stopped(site, worker, "changed", file, 2)
    changed = file.read_text().replace("parcel 7\n", "parcel 8\n")
    times = file.stat()
    file.write_text(changed)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    os.kill(child, signal.SIGKILL)
    site.wait_for_state("changed", "dead")

    state, rows, inserted, quarantined, error = site.account("changed")
    assert ("dead", 200, 200, 0) == (state, rows, inserted, quarantined)
    assert "the file was changed while its rows went in" in error
    assert "200 rows of it are in, and stay" in error


def test_target_held_in_the_middle(site: DepotSite, worker: Worker, file: Path) -> None:
    """A hold stops a file job after the chunk it is at; resumed, it goes on from there."""
    child = stopped(site, worker, "held", file, 2)
    site.query("INSERT INTO celeriac.target_hold VALUES ('parcel', 'by hand')")
    os.kill(child, signal.SIGCONT)
    site.wait_for_state("held", "held")
    assert ("held", 200, 200, 0, "by hand") == site.account("held")
    assert 200 == site.stored().total()
    site.wait_until_settled()

    site.query("DELETE FROM celeriac.target_hold")
    site.send("held", "parcel", file)
    site.wait_for_state("held", "committed")

    assert Counter(parcels(ROWS)) == site.stored()
    assert ("committed", ROWS, ROWS, 0, None) == site.account("held")


def test_schema_changed_in_the_middle(site: DepotSite, worker: Worker, file: Path) -> None:
    """A new column is no matter; one that a file needs and that is gone holds its target."""
    child = stopped(site, worker, "altered", file, 1)
    site.query("ALTER TABLE depot.parcel ADD colour text DEFAULT 'red'")
    site.stop_at(FilePoint.STEP_COMMITTED, 2)
    os.kill(child, signal.SIGCONT)
    assert child == site.wait_for_stop(worker.children())
    site.query("ALTER TABLE depot.parcel RENAME note TO remark")
    os.kill(child, signal.SIGCONT)
    site.wait_for_state("altered", "held")
    assert 300 == site.account("altered")[1]
    site.wait_until_settled()

    site.query("ALTER TABLE depot.parcel RENAME remark TO note")
    site.query("DELETE FROM celeriac.target_hold")
    site.send("altered", "parcel", file)
    site.wait_for_state("altered", "committed")

    assert Counter(parcels(ROWS)) == site.stored()


def test_revoked_job_ends_under_way(site: DepotSite, worker: Worker, file: Path) -> None:
    """A job that is revoked while it runs ends soon, with what it has done counted."""
    child = stopped(site, worker, "revoked", file, 2)
    # Named, so that its answer ends the wait.
    told = {"destination": [worker.name], "reply": True, "timeout": SECONDS}
    site.stock.control.revoke("revoked", **told)
    # It tells of its progress once a second, and is stopped again before it ends.
    wait_for(lambda: site.stock.AsyncResult("revoked").state == "PROGRESS", what="progress")
    os.kill(child, signal.SIGKILL)

    site.wait_for_state("revoked", "cancelled")

    assert ("cancelled", 200, 200, 0, "revoked") == site.account("revoked")
    assert 200 == site.stored().total()


@pytest.fixture(scope="module")
def console(site: DepotSite) -> Iterator[Console]:
    """Where somebody types."""
    with console_on(site.env) as console:
        yield console


@pytest.fixture
def relay(site: DepotSite) -> Iterator[None]:
    """A relay, which brings to the queue what the command enqueues."""
    relay = RelayProcess(site.env).start(wait=False)
    yield
    relay.kill()


@pytest.mark.usefixtures("relay")
def test_glob_loads_each_file_once(site: DepotSite, console: Console, worker: Worker) -> None:
    """The command loads a folder, a file a job, tells how they ended, and a second time nothing."""
    site.query("TRUNCATE depot.parcel")
    folder = site.inbox / "folder"
    folder.mkdir()
    write_csv(folder / "a.csv", parcels(ROWS))
    write_csv(folder / "b.csv", [(1, "heavy", "bad"), (2, 1, "good")])

    first = console.said("ingest", str(folder / "*.csv"), "--target", "parcel")
    second = console.said("ingest", str(folder), "--target", "parcel")

    assert f"a.csv: committed, {ROWS} rows ({ROWS} inserted)" in first
    assert "b.csv: committed, 2 rows (1 inserted, 1 quarantined)" in first
    assert ["loaded already"] * 2 == [
        line.split(": ")[1].split(",")[0] for line in second.splitlines()
    ]
    assert ROWS + 1 == site.stored().total()


def test_place_outside_the_inbox_is_refused(
    site: DepotSite, console: Console, tmp_path: Path
) -> None:
    """What a worker could not read is told before anything is enqueued."""
    write_csv(tmp_path / "outside.csv", parcels(1))

    refused = console.run("ingest", str(tmp_path / "outside.csv"), "--target", "parcel")

    assert 1 == refused.returncode, refused
    assert [] == site.query("SELECT id FROM celeriac.outbox")


def test_what_can_never_load_is_not_enqueued(site: DepotSite, console: Console) -> None:
    """An unknown target, and a file of which no format is known, make no job; both are told."""
    folder = site.inbox / "unclear"
    folder.mkdir()
    write_csv(folder / "a.txt", parcels(1))

    unknown = console.run("ingest", str(folder), "--target", "nowhere")
    unclear = console.run("ingest", "unclear", "--target", "parcel", "--no-wait")

    assert (1, "") == (unknown.returncode, unknown.stdout)
    assert (1, True) == (
        unclear.returncode,
        "its name does not tell its format" in unclear.stdout,
    )
    assert [] == site.query("SELECT id FROM celeriac.outbox")
