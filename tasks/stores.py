"""Where files lie beyond this machine's own folders: fsspec's file systems, by URL.

fsspec is loaded with the first URL that needs it: most processes never see one.
Credentials are its own business: environment and its configuration, never a URL.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

#: Whose PUT shows an object when it is whole and not before; others show a file as it grows.
_PUTS_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "memory"})

#: Which of these is no store of buckets, that somebody has to make before a file is put there.
_WITHOUT_BUCKETS = frozenset({"memory"})

#: S3 takes parts of 5 MiB and more.
_S3_PARTS = {"chunksize": 8 << 20, "max_concurrency": 4}


class StoreTrouble(Exception):
    """A place for files does not take or give one now; no job is to blame for that."""


def file_system_of(url: str) -> tuple["AbstractFileSystem", str]:
    """Return the file system of a URL, and the file's path there.

    Raises ValueError or ImportError if none is installed for it.
    """
    files, path = import_module("fsspec.core").url_to_fs(url)
    return files, str(path)


def is_of_this_machine(files: "AbstractFileSystem") -> bool:
    """Tell whether a file system is that of this machine's folders."""
    return isinstance(files, import_module("fsspec.implementations.local").LocalFileSystem)


def puts_whole(files: "AbstractFileSystem") -> bool:
    """Tell whether a file that is put there is seen whole or not at all."""
    return not _PUTS_WHOLE.isdisjoint(_protocols(files))


def reach(url: str) -> None:
    """Ask the store of a URL whether it is there, and its bucket; nothing is written.

    Raises :class:`StoreTrouble`.
    """
    with store_troubles(url):
        files, path = file_system_of(url)
        if not _PUTS_WHOLE.isdisjoint(set(_protocols(files)) - _WITHOUT_BUCKETS):
            files.info(path.partition("/")[0])
        else:
            files.exists(path)


def put(files: "AbstractFileSystem", local: str, path: str) -> None:
    """Put a local file there; memory stays flat, a large one goes in parts."""
    options: dict[str, Any] = {}
    if "s3" in _protocols(files):
        # Its own defaults would have 500 MB of a file in memory.
        options = {**_S3_PARTS, "ContentType": _media_type(path)}
    files.put_file(local, path, **options)


def _protocols(files: "AbstractFileSystem") -> tuple[str, ...]:
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)


def _media_type(path: str) -> str:
    """Say what a file is, so that a browser shows a page as one."""
    type_, packing = guess_type(path)
    if packing is not None or type_ is None:
        return f"application/{packing or 'octet-stream'}"
    return type_


@contextmanager
def store_troubles(place: str) -> Iterator[None]:
    """Turn whatever a file system raises inside into :class:`StoreTrouble`.

    Each brings errors of its own, and of the libraries below it.
    """
    try:
        yield
    except StoreTrouble:
        raise
    except Exception as error:
        raise StoreTrouble(f"{place} is in trouble: {_words(error)}") from error


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
