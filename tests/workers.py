"""Real workers as processes of their own, for tests that stop, kill and watch them."""

import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import psutil

from tests.forked import ROOT, Forked
from tests.waiting import wait_for

START_SECONDS = 60.0
STOP_SECONDS = 60.0
TAIL_CHARACTERS = 4000


class Worker:
    """One ``celery worker`` process with its children; its log is kept as text."""

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        queues: str = "celeriac.ingest",
        concurrency: int = 1,
        name: str | None = None,
        app: str = "worker.app",
        options: Sequence[str] = (),
    ) -> None:
        self.name = name or f"test-{uuid4().hex[:8]}@localhost"
        self._env = {**os.environ, "PYTHONPATH": _python_path(), **env}
        self._command = [
            *(sys.executable, "-m", "celery", "-A", app, "worker"),
            *(
                "-Q",
                queues,
                "-c",
                str(concurrency),
                "-n",
                self.name,
                "--loglevel",
                "INFO",
                *options,
            ),
        ]
        self._folder = tempfile.TemporaryDirectory(prefix="celeriac-worker-")
        self._log = Path(self._folder.name) / "worker.log"
        self._process: Forked | None = None

    def start(self, *, wait: bool = True) -> "Worker":
        """Start, and return when the worker consumes."""
        with self._log.open("ab") as log:
            python_m, command = self._command[:2], self._command[2:]
            assert [sys.executable, "-m"] == python_m
            self._process = Forked(command, env=self._env, stdout=log)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Wait for Celery's word that it consumes."""
        wait_for(lambda: self.is_ready or not self.is_running, START_SECONDS, f"{self.name} ready")
        assert self.is_running, f"{self.name} did not start:\n{self.log[-TAIL_CHARACTERS:]}"

    @property
    def is_ready(self) -> bool:
        """Whether the log says so."""
        return "ready." in self.log

    @property
    def is_running(self) -> bool:
        """Whether the main process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the main process."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How the main process ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def log(self) -> str:
        """Everything that the worker said so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def children(self) -> list[int]:
        """Return the ids of the pool's processes."""
        try:
            return [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> None:
        """Ask for a warm shutdown and wait for it; fail if it does not come."""
        if self.is_running:
            os.kill(self.pid, signal.SIGTERM)
            try:
                wait_for(lambda: not self.is_running, STOP_SECONDS, f"{self.name} to end")
            finally:
                self.kill()

    def kill(self, *, children: bool = True) -> None:
        """End the main process by SIGKILL, and its children with it unless told otherwise."""
        if self._process is None:
            return
        family = self.children()
        if self.is_running:
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait()
        for pid in family if children else ():
            _kill_quietly(pid)


def _kill_quietly(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _python_path() -> str:
    return os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
