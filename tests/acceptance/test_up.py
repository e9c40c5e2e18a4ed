"""`python -m worker up`: from nothing to a checked main job, and back to nothing."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import wait_for
from tests.workers import ROOT
from worker.embedded import EmbeddedPostgres
from worker.up.leftovers import MARK

END_SECONDS = 240
READY_SECONDS = 60

pytestmark = pytest.mark.timeout(600)


class Up:
    """The command on one folder; its processes are told by the folder's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None

    def start(self, *options: str, **settings: str) -> None:
        (self.folder / "env").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker", "up", "--dir", str(self.folder), *options],
            cwd=ROOT,
            env={**self._environment(), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_ready(self) -> None:
        file = self.folder / "env"
        wait_for(lambda: file.exists() or self.process.poll() is not None, READY_SECONDS, str(file))
        assert file.exists(), self.end()

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit status and what was said."""
        assert self.process is not None
        said, _ = self.process.communicate(timeout=END_SECONDS)
        return self.process.returncode, said

    def stack(self) -> list[psutil.Process]:
        """The processes of the stack that run now."""
        return [one for one in psutil.process_iter() if self._is_ours(one)]

    def main_process(self, name: str) -> psutil.Process:
        family = [one for one in self.stack() if f"{name}@%h" in one.cmdline()]
        ids = {one.pid for one in family}
        return next(one for one in family if one.ppid() not in ids)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            marked = process.environ().get(MARK) == str(self.folder)
            named = str(self.folder) in " ".join(process.cmdline())
            return (marked or named) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    @staticmethod
    def _environment() -> dict[str, str]:
        # Two test processes at once must not both find Flower's usual port free.
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
        return {**os.environ, "PYTHONPATH": path, "FLOWER_PORT": str(port)}


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """The command on a fresh folder; whatever it left is ended."""
    yield from ended(Up(tmp_path / "var"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The command on a folder that the tests of this module share."""
    yield from ended(Up(tmp_path_factory.mktemp("home") / "var"))


@pytest.fixture
def running(home: Up) -> Up:
    """A stack that is ready, on the shared folder; whether another test started it is no matter."""
    if home.process is None or home.process.poll() is not None:
        home.start()
        home.wait_ready()
    return home


def ended(command: Up) -> Iterator[Up]:
    """Lend the command on a folder that it is the first to use, and end what is left of it."""
    command.folder.mkdir()
    yield command
    if command.process is not None and command.process.poll() is None:
        os.kill(command.process.pid, signal.SIGINT)
        command.process.communicate(timeout=END_SECONDS)
    for process in command.stack():
        process.kill()
    EmbeddedPostgres(command.folder).remove()


def test_main_job_runs_once_and_again(up: Up) -> None:
    """From nothing the main job accounts for every row; run again, nothing counts twice."""
    up.start("--once")
    first_status, first_said = up.end()
    up.start("--once")
    second_status, second_said = up.end()

    assert "all rows are accounted for" in first_said
    reports = re.findall(r"^report: (\w+): .*?(\w+)\s+\((\d+)", first_said, re.MULTILINE)
    assert [
        ("carrier_delays", "html", "16"),
        ("flights_book", "xlsx", "191"),
        ("delays_by_hour", "html", "19"),
    ] == reports
    assert "5,222 of these jobs had run before" in second_said
    assert "all rows are accounted for" in second_said
    assert (0, 0) == (first_status, second_status)
    assert [] == up.stack()


@pytest.mark.storm
def test_ctrl_c_leaves_nothing_running(up: Up) -> None:
    """Ctrl-C in the middle of the main job ends every process, with status 0."""
    up.start("--main-job")
    up.wait_ready()

    os.killpg(up.process.pid, signal.SIGINT)
    status, said = up.end()

    assert status == 0, said
    assert [] == up.stack()


@pytest.mark.storm
def test_settings_are_for_the_owner_only(running: Up) -> None:
    """The settings file holds the URLs of the stack and is closed to others."""
    file = running.folder / "env"
    settings = dict(line.split("=", 1) for line in file.read_text().splitlines())

    assert 0o600 == file.stat().st_mode & 0o777
    assert (
        f"redis+socket://{running.folder}/run/valkey.sock?virtual_host=0"
        == (settings["CELERIAC_BROKER_URL"])
    )
    assert f"{running.folder}/inbox" == settings["CELERIAC_INBOX"]


@pytest.mark.storm
def test_dead_worker_ends_the_stack(running: Up) -> None:
    """A worker that dies ends `up` with status 1, its name and its last words."""
    running.main_process("ingest").kill()
    status, said = running.end()

    assert status == 1
    assert "ingest ended unexpectedly" in said
    assert [] == running.stack()


@pytest.mark.storm
def test_wrong_setting_is_told(up: Up) -> None:
    """A setting that does not work ends `up` with status 1 and the setting's name."""
    up.start(CELERIAC_POOL_SIZE="none")

    status, said = up.end()

    assert status == 1
    assert "CELERIAC_POOL_SIZE" in said


@pytest.mark.storm
def test_killed_stack_is_cleaned_by_the_next(running: Up) -> None:
    """After SIGKILL of `up` the next one ends what was left, and works."""
    running.process.kill()
    running.process.wait()
    left = running.stack()

    running.start()
    running.wait_ready()

    assert [] == [one for one in left if one.is_running() and one.status() != "zombie"]
