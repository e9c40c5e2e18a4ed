"""Stand between a client and a server, and break the network on command.

Runs an event loop in a thread of its own; every method may be called from any
thread and has taken effect when it returns.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from tests.faults.link import End, Link
from tests.faults.postgres_wire import Conversation
from tests.faults.weather import Weather

Answer = TypeVar("Answer")

HOST = "127.0.0.1"
_CALL_SECONDS = 60.0


class FaultProxy:
    """Forward a free port of the loopback to ``upstream``.

    ``upstream`` is the path of a Unix socket or (host, port). With ``postgres``
    the protocol is followed, which ``cut_commit_answers`` needs. Use as a
    context manager; at the end every connection is reset.
    """

    def __init__(self, upstream: str | tuple[str, int], *, postgres: bool = False) -> None:
        self._upstream = upstream
        self._postgres = postgres
        self._weather = Weather()
        self._links: set[Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="fault proxy", daemon=True
        )
        self.port = 0
        #: Connections taken so far, whether or not the server was there.
        self.accepted = 0

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_CALL_SECONDS)
        return self

    def __exit__(self, *exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(_CALL_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        self._loop.close()

    def postgres_url(self, database: str) -> str:
        """Return the URL of a database behind this proxy; encryption would hide the COMMITs."""
        options = "sslmode=disable&gssencmode=disable"
        return f"postgresql://postgres@{HOST}:{self.port}/{database}?{options}"

    def redis_url(self, database: int = 0) -> str:
        """Return the URL of a Redis database behind this proxy."""
        return f"redis://{HOST}:{self.port}/{database}"

    @property
    def connections(self) -> int:
        """Count the connections that are open now."""
        return self._call(lambda: len(self._links))

    @property
    def commits_cut(self) -> int:
        """Count the answers to COMMIT that the server gave and no client saw."""
        return self._call(lambda: self._weather.commits_cut)

    def delay(self, *, to_server_ms: float = 0, to_client_ms: float = 0) -> None:
        """Let bytes take that long from now on; a round trip takes the sum."""

        def set_delays() -> None:
            self._weather.delay_to_server_seconds = to_server_ms / 1000
            self._weather.delay_to_client_seconds = to_client_ms / 1000

        self._call(set_delays)

    def cut(self, *, reset: bool = True) -> int:
        """Close every open connection, by RST or by FIN; return how many there were."""
        return self._call(lambda: self._cut(set(self._links), reset=reset))

    def half_open(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Let bytes and closes vanish without a sign, until ``heal``; accept connections still."""

        def swallow() -> None:
            self._weather.swallows_to_server = to_server
            self._weather.swallows_to_client = to_client

        self._call(swallow)

    def refuse(self) -> None:
        """Refuse new connections until ``heal``; open ones stay."""
        self._call(self._stop_listening)

    def cut_commit_answers(self, count: int = 1) -> None:
        """Cut the connection after the server answered COMMIT, for the next ``count`` commits.

        A commit that the server refuses passes and does not count.
        """

        def arm() -> None:
            self._weather.commits_to_cut = count

        if not self._postgres:
            raise ValueError("only a proxy with postgres=True knows a COMMIT")
        self._call(arm)

    def heal(self) -> None:
        """End every fault, keep the counts; connections that lost bytes are reset."""
        asyncio.run_coroutine_threadsafe(self._heal(), self._loop).result(_CALL_SECONDS)

    def _call(self, action: Callable[[], Answer]) -> Answer:
        async def act() -> Answer:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(_CALL_SECONDS)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        client = End(reader, writer)
        try:
            server = await self._connect()
        except OSError:
            client.hang_up(reset=True)
            return
        link = Link(client, server, self._weather, Conversation() if self._postgres else None)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _connect(self) -> End:
        if isinstance(self._upstream, str):
            return End(*await asyncio.open_unix_connection(self._upstream))
        return End(*await asyncio.open_connection(*self._upstream))

    def _cut(self, links: set[Link], *, reset: bool) -> int:
        for link in links:
            link.cut(reset=reset)
            self._links.discard(link)
        return len(links)

    async def _heal(self) -> None:
        self._weather.calm_down()
        self._cut({link for link in self._links if link.is_broken}, reset=True)
        await self._listen()

    async def _shut(self) -> None:
        self._stop_listening()
        self._cut(set(self._links), reset=True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
