"""Start Python programs without the time that their imports take: fork them from a loaded process.

A worker needs a second of the processor to load Celery, and the tests start hundreds.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parent.parent


class Forked:
    """A process that runs a module: what tests need of ``subprocess.Popen``.

    It is the first of a session of its own: the id of the session is its own.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: IO[bytes] | int = subprocess.DEVNULL,
    ) -> None:
        module, *arguments = command
        order = {"module": module, "arguments": arguments, "env": dict(env), "folder": str(ROOT)}
        with Path(os.devnull).open("r+b", buffering=0) as null:
            output = null if isinstance(stdout, int) else stdout
            streams = [null.fileno(), output.fileno(), output.fileno()]
            self.pid: int = _server().ask(order, streams)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        if self.returncode is None:
            self.returncode = _server().ask(self.pid)
        return self.returncode

    def kill(self) -> None:
        """End it by SIGKILL, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end, and return how that was."""
        wait_for(lambda: self.poll() is not None, what=f"the end of process {self.pid}")
        assert self.returncode is not None
        return self.returncode


class _Server:
    """The process that forks, as seen by those who ask."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        path = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._answers = self._connection.makefile("rb")
        self._lock = threading.Lock()

    def ask(self, what: object, streams: Sequence[int] = ()) -> Any:
        """Send a request with descriptors; return its answer."""
        request = json.dumps(what).encode() + b"\n"
        with self._lock:
            sent = socket.send_fds(self._connection, [request], list(streams))
            self._connection.sendall(request[sent:])
            answer = self._answers.readline()
        assert answer, "the fork server died"
        return json.loads(answer)


@cache
def _server() -> _Server:
    return _Server()
