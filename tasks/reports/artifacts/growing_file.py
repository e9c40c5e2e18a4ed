"""A file that is hashed while it grows, by a thread beside its writer."""

import hashlib
import io
import os
from queue import SimpleQueue
from threading import Thread
from typing import Any

_BLOCK_BYTES = 1 << 20
#: Below this a thread costs more than it saves.
_FOLLOW_BYTES = 8 << 20
#: So much waits for the disk at most: the last sync finds little left to do.
_SYNC_BYTES = 64 << 20


class GrowingFile(io.FileIO):
    """The raw end of a buffered writer; knows its size and sha256 once it is sealed.

    A writer that goes back, as one of zip archives does, is as welcome as one
    that does not: its file is then hashed from the start when it is sealed.
    """

    def __init__(self, file: str | int, mode: str) -> None:
        super().__init__(file, mode)
        self.sha256 = ""
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        #: What is below was read back and hashed; written by the thread alone while it runs.
        self.hashed_bytes = 0
        self._written_bytes = 0
        self._went_back = False
        self._written: SimpleQueue[int | None] = SimpleQueue()
        self._follower: Thread | None = None

    def write(self, data: Any) -> int:
        """Write, and let the follower know; called once for each full buffer."""
        count = super().write(data)
        self._written_bytes += count
        if self._follower is None and self._written_bytes >= _FOLLOW_BYTES:
            self._follower = Thread(target=self._follow, name="hash", daemon=True)
            self._follower.start()
        if self._follower is not None:
            self._written.put(self._written_bytes)
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, and remember that what was hashed may change."""
        self._went_back = True
        return super().seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        """Cut or grow, and remember that what was hashed may have gone."""
        self._went_back = True
        return super().truncate(size)

    def seal(self) -> None:
        """Say what the file holds, now that nothing more is written."""
        self._end_following()
        if self._went_back:
            self._hash, self.hashed_bytes = hashlib.sha256(), 0
        self.size_bytes = os.fstat(self.fileno()).st_size
        self._hash_up_to(self.size_bytes)
        self.sha256 = self._hash.hexdigest()

    def close(self) -> None:
        """Close; the follower reads by our descriptor and has to be gone before."""
        self._end_following()
        super().close()

    def _follow(self) -> None:
        synced_bytes = 0
        for written in iter(self._written.get, None):
            try:
                self._hash_up_to(written)
                if written - synced_bytes >= _SYNC_BYTES:
                    os.fsync(self.fileno())
                    synced_bytes = written
            except OSError:
                # Whoever seals the file meets it again, and can say so.
                self._went_back = True
                return

    def _end_following(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            self._written.put(None)
            follower.join()

    def _hash_up_to(self, size_bytes: int) -> None:
        while self.hashed_bytes < size_bytes:
            wanted = min(_BLOCK_BYTES, size_bytes - self.hashed_bytes)
            block = os.pread(self.fileno(), wanted, self.hashed_bytes)
            if not block:
                raise OSError(f"file ends at byte {self.hashed_bytes} of {size_bytes}")
            self._hash.update(block)
            self.hashed_bytes += len(block)
