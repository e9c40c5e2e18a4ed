"""What children tell the main process while they work, and the two things that it tells them.

All are made before the fork. Through the pipe go lines that are short enough
to arrive whole; what does not fit at the moment is left out, since the next
line says more. In shared memory stand a flag, this worker stops, and the jobs
that nobody wants any more.
"""

import json
import mmap
import os
import select
import struct
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

#: What a write to a pipe may have to arrive in one piece.
_LINE_BYTES = select.PIPE_BUF
_READ_BYTES = 1 << 16

_COUNT = struct.Struct("=Q")
#: Of an unwanted job's id, hashed; and how many of the last ones stand there.
_MARK_BYTES = 16
_MARKS = 4096


class Signals:
    """A pipe to the main process, and a flag from it; of one worker."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._flag = mmap.mmap(-1, 1)
        #: How many marks were made, then the last of them.
        self._unwanted = mmap.mmap(-1, _COUNT.size + _MARK_BYTES * _MARKS)
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

    def is_unwanted(self, job_id: str) -> bool:
        """Whether somebody wished that this job ends; asked in a child, cheap."""
        (made,) = _COUNT.unpack_from(self._unwanted)
        end = _COUNT.size + min(made, _MARKS) * _MARK_BYTES
        return made > 0 and self._unwanted.find(_mark(job_id), _COUNT.size, end) >= 0

    def unwant(self, job_id: str) -> None:
        """Have the child that runs the job end it; called in the main process."""
        if self.is_unwanted(job_id):
            return
        (made,) = _COUNT.unpack_from(self._unwanted)
        place = _COUNT.size + made % _MARKS * _MARK_BYTES
        # The mark first: a child looks as far as is counted.
        self._unwanted[place : place + _MARK_BYTES] = _mark(job_id)
        _COUNT.pack_into(self._unwanted, 0, made + 1)

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


def _mark(job_id: str) -> bytes:
    return blake2b(job_id.encode("utf-8", "surrogatepass"), digest_size=_MARK_BYTES).digest()
