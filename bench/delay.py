"""A link that makes every round trip longer; a process of its own, so that it slows nobody else.

``python -m bench.delay SOCKET MILLISECONDS`` prints its port and forwards until it is ended.
"""

import asyncio
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast


@dataclass(frozen=True, slots=True)
class Delayed:
    """A running link."""

    port: int
    pid: int


@contextmanager
def delayed(socket: str, milliseconds: float) -> Iterator[Delayed]:
    """Forward a port of the loopback to a Unix socket, later by so much, until the end."""
    command = [sys.executable, "-m", "bench.delay", socket, str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Delayed(int(cast("IO[str]", process.stdout).readline()), process.pid)
        finally:
            process.terminate()


class _Side(asyncio.Protocol):
    """One end of a connection; what it receives leaves at the other end when it is due.

    Chunks wait in a queue by their own time: a slow one does not hold up those behind it.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._waiting: deque[tuple[float, bytes]] = deque()
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.is_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        due = self._loop.time() + self._seconds
        self._waiting.append((due, data))
        if len(self._waiting) == 1:
            self._loop.call_at(due, self._deliver)

    def _deliver(self) -> None:
        target = self.other and self.other.transport
        while target and self._waiting and self._waiting[0][0] <= self._loop.time():
            target.write(self._waiting.popleft()[1])
        if self._waiting and not self.is_closed:
            self._loop.call_at(max(self._waiting[0][0], self._loop.time()), self._deliver)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        other, self.other, self.is_closed = self.other, None, True
        if other and other.transport:
            self._loop.call_later(self._seconds, other.transport.close)


class _Front(_Side):
    """The client's end, which opens the other one."""

    def __init__(self, seconds: float, socket: str) -> None:
        super().__init__(seconds)
        self._socket = socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._task = self._loop.create_task(self._join())

    async def _join(self) -> None:
        # The answer passes at once: a round trip is delayed on its way there.
        back = _Side(0.0)
        await self._loop.create_unix_connection(lambda: back, self._socket)
        back.other, self.other = self, back


async def _serve(socket: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()

    listener = await loop.create_server(lambda: _Front(seconds, socket), "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


def main(socket: str, milliseconds: str) -> None:
    """Run until SIGTERM."""
    # select() counts in microseconds; epoll would round every delay up to milliseconds.
    selector = selectors.SelectSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(_serve(socket, float(milliseconds) / 1000))


if __name__ == "__main__":
    main(*sys.argv[1:])
