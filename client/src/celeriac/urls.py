"""Read the URLs of Redis, as redis-py and as Celery write them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from celeriac.errors import BadSetting

SCHEMES: Final = ("redis", "rediss", "unix", "redis+socket")
TLS_OPTIONS: Final = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
        "ssl_password",
    }
)
PLAIN_OPTIONS: Final = frozenset({"db", "virtual_host", "username", "password", "client_name"})
DEFAULT_PORT: Final = 6379
LAST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """One database of one Redis server; its text never shows a secret."""

    host: str = "localhost"
    port: int = DEFAULT_PORT
    path: str | None = None
    db: int = 0
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    def with_database(self, db: int) -> "Address":
        """Return another database of the same server."""
        return replace(self, db=db)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}?db={self.db}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.db}"


def parse_url(url: str) -> Address:
    """Read a URL or raise :class:`BadSetting`, in words that repeat no secret."""
    parts = _split(url)
    options = _options(parts)
    username = options.pop("username", None) or _unquoted(parts.username)
    password = options.pop("password", None) or _unquoted(parts.password)
    named_db = options.pop("db", None) or options.pop("virtual_host", None)
    options.pop("virtual_host", None)
    address = Address(username=username, password=password, options=options)
    if parts.scheme in ("unix", "redis+socket"):
        path = _socket_path(parts)
        return replace(address, path=path, db=_database(named_db or ""))
    return replace(
        address,
        host=_unquoted(parts.hostname) or "localhost",
        port=_port(parts),
        db=_database(named_db or unquote(parts.path)),
        tls=parts.scheme == "rediss",
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except (ValueError, AttributeError, TypeError):
        # No `from`: urllib's own words repeat pieces of the URL, the password among them.
        raise BadSetting("the URL of Redis cannot be read, is it quoted rightly?") from None
    if parts.scheme not in SCHEMES:
        schemes = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise BadSetting(f"the URL of Redis must start with one of {schemes}")
    if parts.fragment:
        raise BadSetting("the URL of Redis holds a '#', write it as %23")
    return parts


def _options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query))
    known = PLAIN_OPTIONS | (TLS_OPTIONS if parts.scheme == "rediss" else frozenset())
    for name in options:
        if name not in known:
            raise BadSetting(
                f"{parts.scheme}:// takes no option {name!r}, only {', '.join(sorted(known))}"
            )
    return options


def _socket_path(parts: SplitResult) -> str:
    if parts.hostname or not parts.path.strip("/"):
        raise BadSetting(f"{parts.scheme}:// needs an absolute path, {parts.scheme}:///path")
    return "/" + unquote(parts.path).lstrip("/")


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        # No `from`: an unquoted password ends up where the port is looked for.
        raise BadSetting(f"the port of Redis must be a number from 1 to {LAST_PORT}") from None
    return DEFAULT_PORT if port is None else port


def _database(text: str) -> int:
    number = text.strip("/")
    if not number:
        return 0
    if not (number.isascii() and number.isdigit()):
        raise BadSetting(f"the database of Redis must be a number, got {number!r}")
    return int(number)


def _unquoted(text: str | None) -> str | None:
    return unquote(text) if text else None
