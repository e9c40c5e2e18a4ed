"""Read a file from a web server, never from one of the internal network by accident."""

import io
import ssl
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import IPPROTO_TCP, SHUT_RDWR, create_connection, gaierror, getaddrinfo, socket
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from tasks.files.errors import BadFile, Unreachable
from tasks.files.place import INTERNAL, Place
from tasks.files.position import Fingerprint

_SECONDS = 30
_TRANSLATED = IPv6Network("64:ff9b::/96")
_LATER = frozenset({408, 425, 429})


def open_web_file(place: Place) -> tuple[BinaryIO, Fingerprint]:
    """Ask for a file; it is read as it arrives.

    The host's name is resolved once, its address judged, and that very address
    connected to: a second answer of its name server cannot lead elsewhere.
    Redirects are refused, since they lead where no prefix was asked.
    """
    connection = _connection(place)
    try:
        connection.request("GET", _request_path(place.url), headers={"Accept-Encoding": "identity"})
        # The connection forgets it once the answer is to be the last one.
        plug = connection.sock
        response = connection.getresponse()
    except (OSError, HTTPException) as error:
        connection.close()
        raise Unreachable(f"{place.url}: {error}") from error
    try:
        _refuse_unless_ok(place.url, response)
    except Exception:
        connection.close()
        raise
    return cast(BinaryIO, WebFile(connection, plug, response)), _fingerprint(response)


def public_address(host: str, port: int, *, allows_internal: bool) -> str:
    """Return an address of a host; raises :class:`BadFile` if any is of the internal network."""
    try:
        found = getaddrinfo(host, port, proto=IPPROTO_TCP)
    except (gaierror, UnicodeError) as error:
        raise Unreachable(f"cannot find the host {host!r}: {error}") from error
    addresses = [str(one[4][0]) for one in found]
    internal = [one for one in addresses if not _is_public(one)]
    if internal and not allows_internal:
        raise BadFile(
            f"{host!r} is {internal[0]}, an address of the internal network: if jobs may read "
            f"from there, write {INTERNAL} in front of its prefix in CELERIAC_FILE_PREFIXES"
        )
    return addresses[0]


def _is_public(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        # Such addresses only wrap one of the older kind, where packets end up.
        translated = IPv4Address(int(found) & 0xFFFFFFFF) if found in _TRANSLATED else None
        inner = found.ipv4_mapped or found.sixtofour or translated or found
    else:
        inner = found
    return inner.is_global and not inner.is_multicast


def _connection(place: Place) -> HTTPConnection:
    parts = urlsplit(place.url)
    if parts.username is not None or parts.password is not None:
        raise BadFile(f"the URL for {parts.hostname!r} must not hold a user or password")
    host, is_secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    address = public_address(host, port, allows_internal=place.allows_internal)
    if is_secure:
        return _PinnedSecure(host, port, address)
    return _Pinned(host, port, address)


class _Pinned(HTTPConnection):
    """A connection to an address that was judged before."""

    def __init__(self, host: str, port: int, address: str) -> None:
        super().__init__(host, port, timeout=_SECONDS)
        self._address = address

    def connect(self) -> None:
        self.sock = create_connection((self._address, self.port), self.timeout)


class _PinnedSecure(HTTPSConnection):
    """The same under TLS, whose certificate has to be the host's."""

    def __init__(self, host: str, port: int, address: str) -> None:
        self._trust = ssl.create_default_context()
        super().__init__(host, port, timeout=_SECONDS, context=self._trust)
        self._address = address

    def connect(self) -> None:
        plain = create_connection((self._address, self.port), self.timeout)
        self.sock = self._trust.wrap_socket(plain, server_hostname=self.host)


class WebFile(io.RawIOBase):
    """A response as a file; what breaks off is told from what ends."""

    def __init__(self, connection: HTTPConnection, plug: socket, response: HTTPResponse) -> None:
        self._connection = connection
        self._plug = plug
        self._response = response

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return what is there, however little, once anything is; none at the end."""
        try:
            return self._response.read1(size)
        except HTTPException as error:
            raise OSError(str(error)) from error

    def break_off(self) -> None:
        """Let a thread that waits for the server wait no longer."""
        with suppress(OSError):
            self._plug.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Let go of the server."""
        self._connection.close()
        super().close()


def _request_path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _refuse_unless_ok(url: str, response: HTTPResponse) -> None:
    status = response.status
    if status == 200:  # noqa: PLR2004 - everybody knows it
        return
    if 300 <= status < 400:  # noqa: PLR2004 - the same
        raise BadFile(
            f"{url}: the server sends on to {response.getheader('Location')!r}: name that"
        )
    if status in _LATER or status >= 500:  # noqa: PLR2004 - the same
        raise Unreachable(f"{url}: the server answers {status} {response.reason}")
    raise BadFile(f"{url}: the server answers {status} {response.reason}")


def _fingerprint(response: HTTPResponse) -> Fingerprint:
    modified = response.getheader("Last-Modified")
    return Fingerprint(response.length, modified, response.getheader("ETag"))
