"""Decide whether a URL lies below a prefix that file jobs may read from."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from tasks.files.errors import BadFile

#: In front of a prefix: its host may be one of the internal network.
INTERNAL = "internal+"


@dataclass(frozen=True, slots=True)
class Place:
    """A URL that may be read, and whether its host may be an internal one."""

    url: str
    scheme: str
    allows_internal: bool


def is_local(url: str) -> bool:
    """Tell whether a name is a path or a ``file:`` URL; those go by the inbox."""
    return "://" not in url or url.startswith("file://")


def local_path(url: str) -> str:
    """Return the path that a local name means; raises :class:`BadFile` for another host's."""
    if not url.startswith("file://"):
        return url
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise BadFile(f"{url!r} names a file of another host: {parts.netloc!r}")
    return unquote(parts.path)


def allowed_place(url: str, prefixes: Sequence[str]) -> Place:
    """Return the place of a URL; raises :class:`BadFile` unless a prefix covers it.

    Scheme and host (with port and user) have to be equal, the path has to lie at or below
    the prefix's. Compared are the parts, never mere text: ``https://a.example``
    does not allow ``https://a.example.evil.example/``.
    """
    asked = _split(url)
    for prefix in prefixes:
        below = urlsplit(prefix.removeprefix(INTERNAL))
        if _origin(below) == _origin(asked) and _covers(below.path, asked.path):
            return Place(url, asked.scheme, allows_internal=prefix.startswith(INTERNAL))
    allowed = ", ".join(map(repr, prefixes)) or "none"
    raise BadFile(
        f"{url!r} lies below no prefix of CELERIAC_FILE_PREFIXES ({allowed}): "
        "add one, or put the file into the inbox"
    )


def _split(url: str) -> SplitResult:
    if any(ord(one) <= ord(" ") or one in '\\\x7f"<>^`{|}' for one in url):
        raise BadFile(f"{url!r} is no URL: write spaces and such as %20")
    if "::" in url:
        raise BadFile(f"{url!r} chains several file systems: name the file itself")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BadFile(f"{url!r} is no URL: {error}") from error
    # Decoded twice: what one reader leaves encoded, another may decode.
    segments = unquote(unquote(parts.path)).replace("\\", "/").split("/")
    if ".." in segments or "." in segments:
        raise BadFile(f"{url!r} must not hold '.' or '..' in its path: write where it leads")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, str | None, str | None, int | None]:
    return parts.scheme, parts.username, parts.password, parts.hostname, parts.port


def _covers(prefix: str, path: str) -> bool:
    folder = prefix.rstrip("/") + "/"
    return path.startswith(folder) or path == prefix or prefix in {"", "/"}
