"""A disk without room: of one target's tablespace, or of all that the database has."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from postgres.migrate import migrate
from tests.integration.batches import child_on, deliver, settle
from tests.integration.shop import create_tables, query, query_outside
from worker.delivery import Fate
from worker.embedded.postgres_server import EmbeddedPostgres

pytestmark = pytest.mark.storm

DISK_MEGABYTES = 24
ROWS = [{"n": n, "note": "x" * 900} for n in range(500)]


@pytest.fixture
def disk(postgres_server: EmbeddedPostgres) -> Iterator[Path]:
    """A small disk that the server may write to: a mounted one, for which it takes root."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    ((data,),) = query(postgres_server.url("postgres"), "SHOW data_directory")
    folder = Path("/var/tmp") / f"celeriac-disk-{uuid4().hex[:8]}"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs"]
    mounted = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    shutil.chown(folder, Path(data).owner())
    folder.chmod(0o700)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def tablespace(postgres_server: EmbeddedPostgres, disk: Path) -> Iterator[str]:
    """A tablespace on the small disk."""
    name = f"small_{uuid4().hex[:8]}"
    query_outside(postgres_server.url("postgres"), f"CREATE TABLESPACE {name} LOCATION '{disk}'")
    yield name
    query_outside(postgres_server.url("postgres"), f"DROP TABLESPACE {name}")


@pytest.fixture
def small_database(postgres_server: EmbeddedPostgres, tablespace: str) -> Iterator[str]:
    """A migrated database all of which lies on the small disk."""
    name, server = f"small_{uuid4().hex[:8]}", postgres_server.url("postgres")
    query_outside(server, f"CREATE DATABASE {name} TEMPLATE template0 TABLESPACE {tablespace}")
    migrate(postgres_server.url(name))
    yield postgres_server.url(name)
    query_outside(server, f"DROP DATABASE {name} WITH (FORCE)")


def fill(disk: Path) -> Path:
    """Take all the room that is left, and return the file that has it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 65_536):
                pass
        except OSError:
            return ballast
    raise AssertionError("unreachable: a disk ends")


def test_full_disk_of_one_target(database: str, disk: Path, tablespace: str) -> None:
    """Its jobs wait and the others commit; with room again they commit."""
    create_tables(database)
    query(database, f"ALTER TABLE shop.alpha SET TABLESPACE {tablespace}")
    ballast = fill(disk)
    full = deliver("full", "alpha", ROWS)

    with child_on(database) as child:
        settled = settle(child, full, deliver("other", "beta", [{"n": 1}]))
        ballast.unlink()
        later = settle(child, full)

    assert (Fate.LATER, Fate.COMMITTED) == (settled["full"].fate, settled["other"].fate)
    assert "SQLSTATE 53100" in str(settled["full"].error)
    assert Fate.COMMITTED == later["full"].fate
    query(database, "DROP TABLE shop.alpha")


def test_full_disk_of_the_database(small_database: str, disk: Path) -> None:
    """All jobs wait for the server, and none of them is blamed; with room again they commit."""
    create_tables(small_database)
    ballast = fill(disk)
    jobs = [deliver(name, name, ROWS) for name in ("alpha", "beta")]

    with child_on(small_database) as child:
        settled = settle(child, *jobs)
        ballast.unlink()
        later = settle(child, *jobs)

    assert {Fate.WAIT} == {one.fate for one in settled.values()}
    assert all("SQLSTATE 53100" in str(one.error) for one in settled.values())
    assert {Fate.COMMITTED} == {one.fate for one in later.values()}
