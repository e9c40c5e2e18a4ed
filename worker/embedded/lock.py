"""One holder a folder: a second start is refused with a sentence."""

import fcntl
import os
from pathlib import Path


class ServerFailed(Exception):
    """A server cannot start here; the message says why and what to do."""


class FolderLock:
    """A lock that the operating system takes back when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Hold the folder, or raise ServerFailed naming who does."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode().strip()
            os.close(descriptor)
            raise ServerFailed(
                f"{self._path.parent} is in use by process {holder}; "
                "stop that or choose another folder"
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        # A forked child shares the lock; it must not keep the folder when its parent dies.
        os.register_at_fork(after_in_child=self.release)

    def release(self) -> None:
        """Give the folder back; does nothing if it was not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None
