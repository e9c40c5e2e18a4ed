"""Carry the bytes of one connection between its two ends, through the weather."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

from tests.faults.postgres_wire import Conversation, is_answer_to_commit, is_end_of_answer
from tests.faults.weather import Direction, Weather

_CHUNK_BYTES = 65536
_CHUNKS_UNDER_WAY = 64
#: Close at once and throw away what is unsent: the peer sees RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)

_UnderWay = asyncio.Queue[tuple[float, bytes]]


@dataclass(frozen=True, slots=True)
class End:
    """One of the two sockets."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def hang_up(self, *, reset: bool) -> None:
        """Close now, by RST or, once all is sent, by FIN."""
        if reset:
            connection = self.writer.get_extra_info("socket")
            with suppress(OSError):  # closed already
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.writer.transport.abort()
        else:
            self.writer.close()


class Link:
    """One connection through the proxy; lives in the proxy's loop."""

    def __init__(
        self, client: End, server: End, weather: Weather, conversation: Conversation | None
    ) -> None:
        self._ends = {Direction.TO_SERVER: server, Direction.TO_CLIENT: client}
        self._weather = weather
        self._conversation = conversation
        self._task = asyncio.current_task()
        self._held: bytearray | None = None
        #: Bytes are missing: no peer may ever see what comes after them.
        self.is_broken = False

    async def run(self) -> None:
        """Carry until both ends have finished, one broke, or the link is cut."""
        # Only ``cut`` cancels; whoever started this task would take its cancellation for a fault.
        with suppress(asyncio.CancelledError):
            await self._carry()

    def cut(self, *, reset: bool) -> None:
        """Close both ends now."""
        for end in self._ends.values():
            end.hang_up(reset=reset)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def _carry(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for direction in Direction:
                    under_way: _UnderWay = asyncio.Queue(_CHUNKS_UNDER_WAY)
                    group.create_task(self._collect(direction, under_way))
                    group.create_task(self._deliver(direction, under_way))
            self.cut(reset=False)
        except* OSError:
            self.cut(reset=True)
        finally:
            if self._held is not None:
                self._weather.commits_to_cut += 1

    async def _collect(self, direction: Direction, under_way: _UnderWay) -> None:
        source = self._ends[_opposite(direction)].reader
        chunk = b"."
        while chunk:
            try:
                chunk = await source.read(_CHUNK_BYTES)
            except OSError:
                if not self._weather.swallows(direction):
                    raise
                chunk = b""
            if self._weather.swallows(direction):
                # Not even the end gets through: the other side must not notice anything.
                self.is_broken = True
                continue
            passed = self._inspect(direction, chunk)
            if passed or not chunk:
                due = asyncio.get_running_loop().time() + self._weather.delay_seconds(direction)
                await under_way.put((due, passed))

    async def _deliver(self, direction: Direction, under_way: _UnderWay) -> None:
        sink = self._ends[direction].writer
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            if not chunk:
                sink.write_eof()
                return
            sink.write(chunk)
            await sink.drain()

    def _inspect(self, direction: Direction, chunk: bytes) -> bytes:
        """Return what may pass now."""
        if self._conversation is None or not chunk:
            return chunk
        if direction is Direction.TO_CLIENT:
            return self._inspect_answer(self._conversation, chunk)
        is_commit = self._conversation.client_sends(chunk)
        if is_commit and self._weather.commits_to_cut and self._held is None:
            # Before the COMMIT is passed on: its answer may come at any moment after that.
            self._weather.commits_to_cut -= 1
            self._held = bytearray()
        return chunk

    def _inspect_answer(self, conversation: Conversation, chunk: bytes) -> bytes:
        messages = list(conversation.server_sends(chunk))
        if self._held is None:
            return chunk
        self._held += chunk
        if any(is_answer_to_commit(*message) for message in messages):
            self._held = None
            self._weather.commits_cut += 1
            self.is_broken = True
            raise ConnectionResetError("cut the answer to COMMIT")
        if not any(is_end_of_answer(*message) for message in messages):
            return b""
        # The server refused: there is no commit to be in doubt about, so wait for the next.
        refused, self._held = bytes(self._held), None
        self._weather.commits_to_cut += 1
        return refused


def _opposite(direction: Direction) -> Direction:
    if direction is Direction.TO_SERVER:
        return Direction.TO_CLIENT
    return Direction.TO_SERVER
