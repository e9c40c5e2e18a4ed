"""Run the services of docker-compose.yml as ordinary processes, each by its own words.

Command, environment and health check are taken as they are written; only host
names, ports and folders are others, because here all share one machine. The
folder of the image holds what the Dockerfile copies and nothing else.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tests.docs.compose import (
    NEEDED,
    arguments,
    health_arguments,
    image_environment,
    lay_out_image,
    ours,
    services,
)
from tests.waiting import wait_for
from tests.workers import ROOT

HEALTH_SECONDS = COMMAND_SECONDS = 60
SECRETS = {
    "POSTGRES_PASSWORD": "aWordForPostgres",
    "VALKEY_PASSWORD": "aWordForValkey",
    "FLOWER_BASIC_AUTH": "operator:aWordForFlower",
}


def free_port() -> int:
    """Return a port of the loopback that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Containers:
    """The services of one deployment, as far as they were started."""

    def __init__(
        self,
        folder: Path,
        ports: Mapping[str, int],
        server_programs: str,
        reports: Mapping[str, str],
    ) -> None:
        self.folder = folder
        self._ports = ports
        self._server_programs = server_programs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.image = folder / "image"
        self.artifacts = folder / "artifacts"
        for place in ("image", "artifacts", "inbox", "scratch", "valkey"):
            (folder / place).mkdir()
        lay_out_image(self.image)
        for name, text in reports.items():
            (self.image / "catalog" / "reports" / name).write_text(text)
        self.image_at_first = self.files_of_image()
        self._python_path = f"{self.image}:{self.image / 'client' / 'src'}"

    def files_of_image(self) -> dict[Path, int]:
        """Return what lies in the folder of the image, and when it was written."""
        return {path: path.stat().st_mtime_ns for path in self.image.rglob("*") if path.is_file()}

    def is_running(self, name: str) -> bool:
        """Whether a service was started and its main process lives."""
        return name in self._running and self._running[name].poll() is None

    def start(self, name: str) -> None:
        """Start a service by its command."""
        words = arguments(services()[name]["command"])
        with self._log(name).open("ab") as log:
            self._running[name] = subprocess.Popen(
                self._placed(name, words),
                cwd=self.image,
                env=self._environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self, name: str, seconds: float = 60) -> int:
        """Wait until a service has ended; return its status."""
        return self._running[name].wait(seconds)

    def ask(self, name: str) -> tuple[int, str]:
        """Run a service's health check; return its status and what it said."""
        done = subprocess.run(
            self._placed(name, health_arguments(services()[name])),
            cwd=self.image,
            env=self._environment(name),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HEALTH_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout.strip()

    def run_beside(self, name: str, command: list[str]) -> "subprocess.CompletedProcess[str]":
        """Run somebody's command with a service's environment, in a folder of their own."""
        desk = self.folder / "desk"
        if not desk.exists():
            desk.mkdir()
            (desk / "examples").symlink_to(ROOT / "examples")
        return subprocess.run(
            command,
            cwd=desk,
            env=self._environment(name),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def wait_until(self, name: str, status: int, words: str = "") -> None:
        """Wait until a service's health check answers so; fail with its words and the log."""
        said = []

        def answers() -> bool:
            assert self.is_running(name), f"{name} has ended"
            said.append(self.ask(name))
            return said[-1][0] == status and words in said[-1][1]

        try:
            wait_for(answers, HEALTH_SECONDS, f"{name} to be {status}, {words!r}")
        except AssertionError as error:
            error.add_note(f"{said[-1:]}\n{self.log(name)[-3000:]}")
            raise

    def tell(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a service's main process alone, as an engine does."""
        self._running[name].send_signal(number)

    def log(self, name: str) -> str:
        """Return what a service said."""
        return self._log(name).read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """Return every process of every service that was started and lives."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("PYTHONPATH") == self._python_path:
                    found.append(process)
        return found

    def kill(self) -> None:
        """End whatever still runs."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        for running in self._running.values():
            running.kill()
            running.wait()

    def _environment(self, name: str) -> dict[str, str]:
        given = services()[name].get("environment", {})
        environment = {**(image_environment() if name in ours() else {}), **given}
        placed = self._placed(name, list(environment.values()))
        found = dict(zip(environment, placed, strict=True))
        # The shell's own: where programs of the system are.
        path = found.get("PATH", self._server_programs)
        found["PATH"] = path.replace("$PATH", os.defpath)
        # In the image the client is installed, from its folder there.
        return found | {"PYTHONPATH": self._python_path}

    def _placed(self, name: str, texts: list[str]) -> list[str]:
        """Put this machine's hosts, ports and folders in the place of the containers'."""
        own = self.folder / name
        own.mkdir(exist_ok=True)
        places = {
            **{f"{server}:{number}": f"127.0.0.1:{port}" for server, number, port in self._hosts()},
            **{number: str(port) for _, number, port in self._hosts()},
            # Not resolved: what a virtual environment links to knows nothing of it.
            "/opt/venv/bin": str(Path(sys.executable).parent),
            "/srv/celeriac": str(self.image),
            "/srv/artifacts": str(self.artifacts),
            "/srv/inbox": str(self.folder / "inbox"),
            "/srv/scratch": str(self.folder / "scratch"),
            # Each container has one of its own.
            "/tmp": str(own),
            "/data": str(self.folder / "valkey"),
        }
        pattern = re.compile("|".join(map(re.escape, places)))
        filled = (NEEDED.sub(lambda one: SECRETS[one[1]], text) for text in texts)
        return [pattern.sub(lambda one: places[one[0]], text) for text in filled]

    def _hosts(self) -> list[tuple[str, str, int]]:
        numbers = {"postgres": "5432", "valkey": "6379", "flower": "5555"}
        return [(name, numbers[name], port) for name, port in self._ports.items()]

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"
