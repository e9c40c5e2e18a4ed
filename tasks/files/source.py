"""Open a file where file jobs may read, and only there."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

from tasks.files.errors import BadFile, FileChanged, Unreachable
from tasks.files.inbox import open_in_inbox
from tasks.files.options import FileOptions
from tasks.files.place import Place, allowed_place, is_local, local_path
from tasks.files.position import START, Fingerprint, Position
from tasks.files.web import WebFile, open_web_file
from tasks.stores import file_system_of

#: A tebibyte: what nobody meant to load.
DEFAULT_MAX_BYTES = 1 << 40

#: File systems by which a URL could reach what the inbox keeps apart, or anything at all.
_REFUSED_SCHEMES = frozenset({"local", "reference", "generic", "dir", "zip", "tar", "libarchive"})


class Source:
    """An open file, what it looked like when it was opened, and what was read of it.

    Close it, or use ``with``.
    """

    def __init__(
        self, url: str, file: BinaryIO, fingerprint: Fingerprint, max_bytes: int, *, is_local: bool
    ) -> None:
        self.url = url
        self.file = file
        self.fingerprint = fingerprint
        #: Most bytes that it may have, decompressed.
        self.max_bytes = max_bytes
        self.is_local = is_local
        self.read_bytes = 0
        self._hash = hashlib.sha256()
        self._after = START
        self._is_given_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @property
    def sha256(self) -> str:
        """Return the hash of what was read so far, in hex."""
        return self._hash.copy().hexdigest()

    def expect(self, after: Position) -> None:
        """Compare, when reading comes to it, what was read before a position. Call it first."""
        self._after = after

    def give_up(self) -> None:
        """Have reading raise :class:`Unreachable` soon; may be called by another thread."""
        self._is_given_up = True
        if isinstance(self.file, WebFile):
            self.file.break_off()

    def read(self, size: int) -> bytes:
        """Read on, up to ``size`` bytes, none at the end only.

        Raises :class:`Unreachable` if reading breaks off, and
        :class:`FileChanged` if the file is no longer what it was.
        """
        to_compare = self._after.read_bytes - self.read_bytes
        if to_compare > 0:
            size = min(size, to_compare)
        try:
            block = b"" if self._is_given_up else self.file.read(size)
        except OSError as error:
            raise Unreachable(f"{self.url}: reading broke off: {error}") from error
        # Asked for now: what was given up meanwhile may look like the end.
        if self._is_given_up:
            raise Unreachable(f"{self.url}: reading was given up")
        if not block:
            self._refuse_other_end()
        self.read_bytes += len(block)
        self._hash.update(block)
        if 0 < to_compare == len(block) and self.sha256 != self._after.sha256:
            self._refuse_content()
        return block

    def _refuse_content(self) -> None:
        raise FileChanged(
            f"{self.url}: the file was changed while its rows went in: its first "
            f"{self._after.read_bytes} bytes, of which {self._after.records} records are in, are "
            "others now; send the new file as a job of its own"
        )

    def _refuse_other_end(self) -> None:
        if self.is_local:
            _of_local(self.file).refuse_change(self.fingerprint, self.url)
        size = self.fingerprint.size_bytes
        if size is not None and size != self.read_bytes:
            raise Unreachable(f"{self.url}: reading ended at {self.read_bytes} of {size} bytes")
        if self.read_bytes < self._after.read_bytes:
            self._refuse_content()


def open_source(
    url: str,
    options: FileOptions,
    *,
    inbox: Path | None,
    prefixes: Sequence[str] = (),
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Source:
    """Open a local file in the inbox, or a URL below an allowed prefix.

    Raises :class:`BadFile` for what may not or cannot be read, and
    :class:`Unreachable` for what might be read later.
    """
    limit = min(max_bytes, options.max_bytes or max_bytes)
    if is_local(url):
        file = open_in_inbox(local_path(url), inbox)
        return Source(url, file, _of_local(file), limit, is_local=True)
    place = allowed_place(url, prefixes)
    opened, fingerprint = _open_place(place)
    return Source(url, opened, fingerprint, limit, is_local=False)


def _of_local(file: BinaryIO) -> Fingerprint:
    found = os.fstat(file.fileno())
    return Fingerprint(found.st_size, str(found.st_mtime_ns))


def _open_place(place: Place) -> tuple[BinaryIO, Fingerprint]:
    if place.scheme in {"http", "https"}:
        return open_web_file(place)
    if place.scheme in _REFUSED_SCHEMES:
        raise BadFile(f"{place.url!r}: {place.scheme}:// is not for file jobs")
    try:
        files, path = file_system_of(place.url)
        fingerprint = _of_info(files.info(path))
        return files.open(path, "rb"), fingerprint
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise BadFile(f"{place.url}: cannot be opened: {error}") from error
    except (ValueError, ImportError) as error:
        raise BadFile(f"{place.url}: no file system for it is installed: {error}") from error
    except OSError as error:
        raise Unreachable(f"{place.url}: {error}") from error


def _of_info(info: dict[str, Any]) -> Fingerprint:
    times = (info.get(name) for name in ("LastModified", "last_modified", "mtime", "modified"))
    modified = next((str(one) for one in times if one), None)
    etag = next((str(info[name]) for name in ("ETag", "etag", "md5Hash") if info.get(name)), None)
    return Fingerprint(info.get("size"), modified, etag)
