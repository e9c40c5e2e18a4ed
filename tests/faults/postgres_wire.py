"""Follow PostgreSQL's protocol, version 3, far enough to know when a COMMIT was answered.

Pure: bytes go in, facts come out; the proxy acts on them.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_SSL_REQUEST, _GSSENC_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_HEADER_BYTES, _STARTUP_HEADER_BYTES = 5, 8
#: How much of a message's end is kept: enough for any COMMIT and any command tag.
_KEPT_BYTES = 256
#: COMMIT, or the end of commit_whole.sql, which is its own transaction.
_COMMIT = re.compile(
    rb"((^|[\s;])commit(\s+(work|transaction))?|\bEND AS committed)[\s;]*$", re.IGNORECASE
)
_COMMITTED = (b"COMMIT", b"SELECT 1")


@dataclass(slots=True)
class Frames:
    """Cut a stream of typed messages into (type, end of its body)."""

    _head: bytearray = field(default_factory=bytearray)
    _tail: bytearray = field(default_factory=bytearray)
    _missing: int = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield each message that ends in ``chunk``; read the iterator to its end."""
        at = 0
        while at < len(chunk):
            if len(self._head) < _HEADER_BYTES:
                at = self._take_head(chunk, at)
            else:
                at = self._take_body(chunk, at)
            if len(self._head) == _HEADER_BYTES and not self._missing:
                yield bytes(self._head[:1]), bytes(self._tail)
                self._head.clear()
                self._tail.clear()

    def _take_head(self, chunk: bytes, at: int) -> int:
        end = min(len(chunk), at + _HEADER_BYTES - len(self._head))
        self._head += chunk[at:end]
        if len(self._head) == _HEADER_BYTES:
            (length,) = struct.unpack_from("!i", self._head, 1)
            self._missing = length - 4
        return end

    def _take_body(self, chunk: bytes, at: int) -> int:
        end = min(len(chunk), at + self._missing)
        self._missing -= end - at
        self._tail += chunk[max(at, end - _KEPT_BYTES) : end]
        del self._tail[:-_KEPT_BYTES]
        return end


@dataclass(slots=True)
class Conversation:
    """One connection, from its first byte: negotiation, startup, then typed messages."""

    #: Encrypted or of another protocol: nothing more can be known.
    opaque: bool = False
    _started: bool = False
    _startup: bytearray = field(default_factory=bytearray)
    _bare_answers: int = 0
    _client: Frames = field(default_factory=Frames)
    _server: Frames = field(default_factory=Frames)

    def client_sends(self, chunk: bytes) -> bool:
        """Tell whether a COMMIT was completed by ``chunk``."""
        if not self._started and not self.opaque:
            self._startup += chunk
            chunk = self._negotiate()
        if self.opaque:
            return False
        # Every message has to be read, also those after a COMMIT.
        commits = [_is_commit(kind, tail) for kind, tail in self._client.feed(chunk)]
        return any(commits)

    def server_sends(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the messages that ``chunk`` completes; read the iterator to its end."""
        while self._bare_answers and chunk and not self.opaque:
            # One byte without a frame answers a wish for encryption; N declines it.
            self._bare_answers -= 1
            self.opaque = chunk[:1] in (b"S", b"G")
            chunk = chunk[1:]
        if not self.opaque:
            yield from self._server.feed(chunk)

    def _negotiate(self) -> bytes:
        """Read untyped messages up to the startup itself; return what follows it."""
        while len(self._startup) >= _STARTUP_HEADER_BYTES:
            length, code = struct.unpack_from("!ii", self._startup)
            if len(self._startup) < length:
                break
            del self._startup[:length]
            if code in (_SSL_REQUEST, _GSSENC_REQUEST):
                self._bare_answers += 1
                continue
            self._started = True
            self.opaque = code == _CANCEL_REQUEST or code >> 16 != 3
            return bytes(self._startup)
        return b""


def is_answer_to_commit(kind: bytes, tail: bytes) -> bool:
    """Tell whether a server's message says that a COMMIT, or what stands for it, succeeded."""
    return kind == b"C" and tail.rstrip(b"\0") in _COMMITTED


def is_end_of_answer(kind: bytes, _tail: bytes) -> bool:
    """Tell whether the server is ready for the next query."""
    return kind == b"Z"


def _is_commit(kind: bytes, tail: bytes) -> bool:
    if kind == b"Q":
        return bool(_COMMIT.search(tail.rstrip(b"\0")))
    if kind == b"P":  # extended protocol: name, query, number of types, types
        return any(_COMMIT.search(part) for part in tail.split(b"\0")[1:2])
    return False
