"""One server process of ours, from start to stop, in a folder of its own."""

import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from worker.embedded import processes
from worker.embedded.lock import FolderLock, ServerFailed

START_SECONDS = 60.0
STOP_SECONDS = 30.0
TAIL_LINES = 15


class EmbeddedServer(ABC):
    """Start, stop, kill and restart one server; its data stays in the folder.

    Signals go to process ids that this object started, or that hold this very
    folder, never to a name.
    """

    name: ClassVar[str]
    binary: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.log = self.folder / "log" / f"{self.name}.log"
        #: Whether the last start found data of an earlier one.
        self.reused = False
        self._lock = FolderLock(self.folder / f"{self.name}.lock")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when the server answers; raise ServerFailed with its last words otherwise."""
        self._lock.acquire()
        try:
            self._prepare()
            self._stop_leftover()
            self._launch()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut down in order; what does not end in time is killed."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)
            processes.wait(lambda: not self.is_running, STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the server and all its children by SIGKILL, as a crash would."""
        if self._process is not None:
            processes.kill(processes.family(self._process.pid))
            self._process.wait()
        self._process = None
        self._lock.release()

    def restart(self) -> None:
        """Stop and start again on the same data."""
        self.stop()
        self.start()

    @abstractmethod
    def remove(self) -> None:
        """Stop and delete the data."""

    @property
    def is_running(self) -> bool:
        """Whether the process that this object started lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise ServerFailed(f"{self.name} in {self.folder} is not running, start it first")
        return self._process.pid

    def _launch(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            said_before = log.tell()
            # A session of its own: Ctrl-C in a terminal must reach the workers first.
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._launch_options(),
            )
        if not processes.wait(lambda: not self.is_running or self._answers(), START_SECONDS):
            raise ServerFailed(f"{self.name} did not answer in time:\n{self._tail(said_before)}")
        if not self.is_running:
            raise ServerFailed(f"{self.name} did not start:\n{self._tail(said_before)}")

    def _stop_leftover(self) -> None:
        """End a server that outlived the process which started it; we hold its lock now."""
        for process in processes.find(self.binary, self._marker()):
            family = processes.family(process.pid)
            process.send_signal(self.stop_signal)
            processes.wait(partial(processes.all_gone, family), STOP_SECONDS)
            processes.kill(family)

    def _tail(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def _launch_options(self) -> Mapping[str, Any]:
        return {}

    @abstractmethod
    def _prepare(self) -> None:
        """Make folders and data ready; sets ``reused``."""

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def _answers(self) -> bool: ...

    @abstractmethod
    def _marker(self) -> str:
        """Text in the command line of the one process that holds this folder."""
