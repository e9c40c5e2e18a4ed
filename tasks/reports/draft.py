"""Grow a file out of sight, then make it visible: whole, or not at all."""

import hashlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BUFFER_BYTES = 1 << 20


class Draft(ABC):
    """A file in the making, unseen until it is published."""

    def __init__(self, url: str, draft: BinaryIO) -> None:
        self.url = url
        self._draft = draft
        self._tee = _Tee(draft)
        #: Write here; what is written is counted and hashed on its way.
        self.file = io.BufferedWriter(self._tee, _BUFFER_BYTES)

    @property
    def size_bytes(self) -> int:
        """Count what a sealed draft holds."""
        return self._tee.count

    @property
    def sha256(self) -> str:
        """Return the hash of a sealed draft, in hex."""
        return self._tee.hash.hexdigest()

    def seal(self) -> None:
        """End the writing; the bytes are on the disk when this returns."""
        self.file.flush()
        _sync(self._draft)

    @abstractmethod
    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Make the sealed draft and its manifest visible under their final names.

        The manifest first: whoever sees the artifact finds what describes it.
        """


class Neighbour(Draft):
    """A draft in the folder of its final name; a rename publishes it."""

    def __init__(self, url: str, draft: BinaryIO, *, final: Path, path: Path) -> None:
        super().__init__(url, draft)
        self._final = final
        self._path = path

    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Rename the manifest, then the draft; durable when this returns."""
        side = self._path.with_suffix(".json")
        with side.open("xb") as file:
            file.write(_encoded(manifest))
            _sync(file)
        side.replace(f"{self._final}.json")
        self._path.replace(self._final)
        _sync_folder(self._final.parent)
        _sync_folder(self._final.parent.parent)


class Upload(Draft):
    """A draft on the local disk, for an object store; one PUT publishes it."""

    def __init__(self, url: str, draft: Any, *, files: "AbstractFileSystem", final: str) -> None:
        super().__init__(url, draft)
        self._path = draft.name
        self._files = files
        self._final = final

    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Put the manifest, then the draft; stores show an object only when it is whole."""
        self._files.makedirs(self._final.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(f"{self._final}.json", _encoded(manifest))
        self._files.put_file(self._path, self._final)


class _Tee(io.RawIOBase):
    """Count and hash what passes through to a file."""

    def __init__(self, file: BinaryIO) -> None:
        self.hash = hashlib.sha256()
        self.count = 0
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(data)
        self.hash.update(data)
        self.count += len(data)
        return len(data)


def _encoded(manifest: Mapping[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames durable; without it a power cut may undo them."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
