"""A socket behind which a server says that it is an old Redis."""

import asyncio
import threading
from pathlib import Path

_CALL_SECONDS = 60.0
#: Of one length each: the answer says before how long it is.
_AGED = ((b"redis_version:7.2.4", b"redis_version:6.0.9"), (b"valkey_version", b"ancestor_build"))


class OldRedis:
    """Pass everything on to a real Valkey, and what it says of its version back as another one.

    Use as a context manager.
    """

    def __init__(self, upstream: Path, folder: Path) -> None:
        self._upstream = str(upstream)
        self.socket = folder / "old.sock"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="old", daemon=True)

    @property
    def url(self) -> str:
        """URL in Celery's form."""
        return f"redis+socket://{self.socket}?virtual_host=0"

    def __enter__(self) -> "OldRedis":
        self._thread.start()
        listening = asyncio.start_unix_server(self._accept, str(self.socket))
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result(_CALL_SECONDS)
        return self

    def __exit__(self, *exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(_CALL_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._upstream)
        ways = (_carry(reader, server_writer), _carry(server_reader, writer, *_AGED))
        await asyncio.gather(*ways, return_exceptions=True)

    async def _shut(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *aged: tuple[bytes, bytes]
) -> None:
    try:
        while chunk := await reader.read(65536):
            for new, old in aged:
                chunk = chunk.replace(new, old)
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()
