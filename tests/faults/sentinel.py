"""A real Sentinel that watches one Redis, for clients that ask it where the master is."""

import subprocess
from contextlib import suppress
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.faults.proxy import HOST, FaultProxy
from tests.waiting import wait_for
from worker.embedded import EmbeddedValkey

MASTER = "celeriac-master"
_START_SECONDS = 60.0


class Sentinel:
    """Watch a server through a proxy, because Sentinel knows servers by host and port alone.

    Use as a context manager.
    """

    def __init__(self, valkey: EmbeddedValkey, port: int, folder: Path) -> None:
        self._server = FaultProxy(str(valkey.socket))
        self._program = Path(f"/proc/{valkey.pid}/exe").resolve()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    def __enter__(self) -> "Sentinel":
        self._server.__enter__()
        settings = self._folder / "sentinel.conf"
        settings.write_text(
            f"port {self.port}\nbind {HOST}\ndir {self._folder}\n"
            f"sentinel monitor {MASTER} {HOST} {self._server.port} 1\n"
        )
        with (self._folder / "sentinel.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._program), str(settings), "--sentinel"], stdout=log, stderr=log
            )
        wait_for(self._knows_the_master, _START_SECONDS, "Sentinel to know the master")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._server.__exit__()

    def url(self, database: int = 0) -> str:
        """Return the URL by which kombu asks it."""
        return f"sentinel://{HOST}:{self.port}/{database}"

    def _knows_the_master(self) -> bool:
        with suppress(RedisError), Redis(HOST, self.port, socket_timeout=1) as client:
            masters = client.execute_command("SENTINEL", "MASTERS")
            return bool(masters) and b"disconnected" not in str(masters).encode()
        return False
