"""The Python processes of the stack, run by Honcho."""

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from honcho.manager import Manager

from worker.up.environment import LOOPBACK, ROOT
from worker.up.logs import Logs

PATIENCE_SECONDS = 30.0
READY = {
    "ingest": " ready.",
    "report": " ready.",
    "relay": "relay ready",
    "schedule": "scheduler ready",
    "flower": "Visit me at",
}
_CELERY = ("celery", "-A", "worker.app")
#: Honcho's exit statuses for the signals by which people end it.
ENDED_BY_SIGNAL = frozenset({130, 143})


class Processes(Manager):  # type: ignore[misc]  # no types
    """Starts all, ends all when one ends or somebody asks for it."""

    def __init__(self, logs: Logs) -> None:
        super().__init__(printer=logs)
        self._procmgr = _MainProcesses()
        #: Set when the end has begun, for whatever reason.
        self.ending = threading.Event()
        #: Who ended without being asked.
        self.died: list[str] = []

    def terminate(self) -> None:
        """Ask all to end; the first call tells why it came."""
        if not self.ending.is_set():
            self.died = [name for name, one in self._processes.items() if "returncode" in one]
            self.ending.set()
        super().terminate()

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C or SIGTERM was the reason."""
        return self.returncode in ENDED_BY_SIGNAL and not self.died


@dataclass
class _MainProcesses:
    """Signals to the main process of a worker alone.

    Honcho would signal the whole group: a worker's children die of SIGTERM in
    the middle of a batch that the main process was going to wait for.
    """

    _patience_ends: float | None = None

    def terminate(self, pid: int) -> None:
        _send(pid, signal.SIGTERM)

    def kill(self, pid: int) -> None:
        # Honcho asks for this again and again, beginning too early for a worker under load.
        if self._patience_ends is None:
            self._patience_ends = time.monotonic() + PATIENCE_SECONDS
        if time.monotonic() > self._patience_ends:
            _send(-pid, signal.SIGKILL)


def add_processes(processes: Processes, environment: Mapping[str, str], flower_port: int) -> None:
    """Name what the stack runs; nothing starts before Honcho's loop."""
    for name, arguments in _commands(flower_port).items():
        command = [sys.executable, "-m", *arguments]
        # Without `exec` the signals would end a shell, and not the worker below it.
        processes.add_process(
            name, f"exec {shlex.join(command)}", env=dict(environment), cwd=str(ROOT)
        )


def _commands(flower_port: int) -> dict[str, list[str]]:
    return {
        "ingest": _worker("ingest", "celeriac.ingest"),
        "report": _worker("report", "celeriac.file,celeriac.report"),
        "relay": ["worker", "relay"],
        "schedule": ["worker", "schedule"],
        "flower": [
            *(*_CELERY, "flower", "--conf=monitoring/flowerconfig.py"),
            *(f"--address={LOOPBACK}", f"--port={flower_port}"),
        ],
    }


def _worker(name: str, queues: str) -> list[str]:
    return [*_CELERY, "worker", "-Q", queues, "-n", f"{name}@%h", "--loglevel", "INFO"]


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
