"""A TLS socket in front of a server that speaks none: what a client sees is the real thing."""

import asyncio
import shutil
import ssl
import subprocess
import threading
from pathlib import Path

HOST = "127.0.0.1"
_CALL_SECONDS = 60.0


class TlsFront:
    """Take TLS on a free port of the loopback, and pass the plain bytes on to a Unix socket.

    The certificate signs itself. Use as a context manager.
    """

    def __init__(self, upstream: str, folder: Path) -> None:
        self._upstream = upstream
        self.certificate = folder / "tls.pem"
        self._key = folder / "tls.key"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tls", daemon=True)
        self.port = 0
        self.handshakes = 0

    def __enter__(self) -> "TlsFront":
        self._make_certificate()
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(
            _CALL_SECONDS
        )
        return self

    def __exit__(self, *exception: object) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(_CALL_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_SECONDS)
        self._loop.close()

    def url(self, database: int = 0) -> str:
        """Return the URL of a Redis database behind it; the client checks the certificate."""
        checks = f"ssl_cert_reqs=required&ssl_ca_certs={self.certificate}"
        return f"rediss://{HOST}:{self.port}/{database}?{checks}"

    def _make_certificate(self) -> None:
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=celeriac"
        names = ["-addext", f"subjectAltName=IP:{HOST}"]
        files = ["-keyout", str(self._key), "-out", str(self.certificate)]
        subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)

    async def _listen(self) -> int:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self._key)
        self._server = await asyncio.start_server(self._accept, HOST, 0, ssl=context)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.handshakes += 1
        server_reader, server_writer = await asyncio.open_unix_connection(self._upstream)
        ways = (_carry(reader, server_writer), _carry(server_reader, writer))
        await asyncio.gather(*ways, return_exceptions=True)

    async def _shut(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def can_make_certificates() -> bool:
    """Whether this machine has what it takes."""
    return shutil.which("openssl") is not None


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    finally:
        writer.close()
