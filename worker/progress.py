"""What children tell the main process while they work, and the one thing that it tells them.

Both are made before the fork. Through the pipe go lines that are short enough
to arrive whole; what does not fit at the moment is left out, since the next
line says more. The flag is a byte of shared memory: this worker stops.
"""

import json
import mmap
import os
import select
from collections.abc import Callable, Mapping
from typing import Any

#: What a write to a pipe may have to arrive in one piece.
_LINE_BYTES = select.PIPE_BUF
_READ_BYTES = 1 << 16


class Signals:
    """A pipe to the main process, and a flag from it; of one worker."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._flag = mmap.mmap(-1, 1)
        self._rest = b""

    def tell(self, job_id: str, progress: Mapping[str, Any], *, went_on: bool) -> None:
        """Say how far a job is, and whether this run got further; in a child, never waits."""
        line = json.dumps([job_id, progress, went_on]).encode() + b"\n"
        if len(line) <= _LINE_BYTES:
            try:
                os.write(self._write, line)
            except BlockingIOError:
                return

    def is_stopping(self) -> bool:
        """Whether the worker stops; asked in a child."""
        return self._flag[0] != 0

    def stop(self) -> None:
        """Ask all children to give back their long jobs; called in the main process."""
        self._flag[0] = 1

    def listen(self, hub: Any, hear: Callable[[str, dict[str, Any], bool], None]) -> None:
        """Have ``hear`` called in the main loop with what children tell."""
        hub.add_reader(self._read, self._hear, hear)

    def _hear(self, hear: Callable[[str, dict[str, Any], bool], None]) -> None:
        try:
            self._rest += os.read(self._read, _READ_BYTES)
        except BlockingIOError:
            return
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            hear(*json.loads(line))
