"""Grow a file out of sight, then make it visible: whole, or not at all."""

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from tasks.reports.artifacts.growing_file import GrowingFile
from tasks.stores import put, puts_whole, store_troubles

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BUFFER_BYTES = 1 << 20


class Draft(ABC):
    """A file in the making, unseen until it is published."""

    #: Whether its final place is on no disk of this machine: to publish it takes its time.
    is_elsewhere: ClassVar[bool] = False

    def __init__(self, url: str, raw: GrowingFile) -> None:
        self.url = url
        self._raw = raw
        #: Write here; small pieces cost little, and the file is hashed beside the writer.
        self.file: io.BufferedWriter = io.BufferedWriter(raw, _BUFFER_BYTES)

    @property
    def size_bytes(self) -> int:
        """Count what a sealed draft holds."""
        return self._raw.size_bytes

    @property
    def sha256(self) -> str:
        """Return the hash of a sealed draft, in hex."""
        return self._raw.sha256

    def seal(self) -> None:
        """End the writing: what the draft holds is known when this returns.

        There is no ``file`` any more: many sealed drafts wait for each other, without buffers.
        """
        self.file.detach()
        del self.file
        self._raw.seal()

    def prepare(self, manifest: Mapping[str, Any]) -> None:  # noqa: B027 - often nothing
        """Do what of publishing can be done out of sight, but for :meth:`sync`; never needed."""

    def sync(self) -> None:  # noqa: B027 - the same
        """Make what is prepared durable; for any thread."""

    def send(self, manifest: Mapping[str, Any]) -> None:
        """Do all of publishing that may take long, before the transaction that counts begins.

        Only of a draft that is elsewhere. What is sent is seen, under a name of
        this run alone, and means nothing until it is recorded.
        """
        raise NotImplementedError(f"{type(self).__name__} is renamed, not sent, got {manifest!r}")

    def withdraw(self) -> None:  # noqa: B027 - often nothing
        """Take back what was sent for nothing, if the store lets us; the rest is left over."""

    @property
    def folder(self) -> Path | None:
        """The folder to be synced once a prepared draft is published, by whoever prepared it."""
        return None

    @abstractmethod
    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Make the sealed draft and its manifest visible under their final names.

        The manifest first: whoever sees the artifact finds what describes it.
        Raises :class:`tasks.stores.StoreTrouble`.
        """


class LocalDraft(Draft):
    """A draft on the disk of its final name; a rename publishes it."""

    def __init__(self, raw: GrowingFile, *, path: Path, final: Path) -> None:
        super().__init__(f"file://{final}", raw)
        self._path = path
        self._final = final
        self._is_prepared = False

    @property
    def folder(self) -> Path:
        """The folder of its final name."""
        return self._final.parent

    def prepare(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest beside the draft."""
        with store_troubles(str(self._final.parent)), manifest_of(self._path).open("xb") as file:
            file.write(_encoded(manifest))
        self._is_prepared = True

    def sync(self) -> None:
        """Bring the draft and its manifest to the disk."""
        with store_troubles(str(self._final.parent)):
            os.fsync(self._raw.fileno())
            with manifest_of(self._path).open("rb") as file:
                os.fsync(file.fileno())

    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Rename the manifest, then the draft; durable then, unless it was prepared."""
        is_lone = not self._is_prepared
        if is_lone:
            self.prepare(manifest)
            self.sync()
        with store_troubles(str(self._final.parent)):
            manifest_of(self._path).rename(manifest_of(self._final))
            try:
                self._path.rename(self._final)
            except OSError:
                manifest_of(self._final).unlink(missing_ok=True)
                raise
            if is_lone:
                sync_folder(self._final.parent)


class Upload(Draft):
    """A draft on the local disk, for a store elsewhere; one PUT publishes it."""

    is_elsewhere: ClassVar[bool] = True

    def __init__(
        self, raw: GrowingFile, *, path: str, files: "AbstractFileSystem", unseen: str, final: str
    ) -> None:
        super().__init__(files.unstrip_protocol(final), raw)
        self._path = path
        self._files = files
        #: Where a file lies until it is whole, in a store that shows files as they grow.
        self._unseen = unseen
        self._final = final
        self._is_sent = False

    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Put the manifest, then the draft; nothing if they were sent."""
        if not self._is_sent:
            self.send(manifest)

    def send(self, manifest: Mapping[str, Any]) -> None:
        """Put the manifest, then the draft."""
        with store_troubles(self._final.rpartition("/")[0]):
            if not puts_whole(self._files):
                for path in (self._unseen, self._final):
                    self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(f"{self._final}.json", _encoded(manifest))
            try:
                self._put()
            except Exception:
                with suppress(Exception):
                    self._files.rm_file(f"{self._final}.json")
                raise
        self._is_sent = True

    def withdraw(self) -> None:
        """Remove the draft, then its manifest, which says whose it is."""
        if self._is_sent:
            with suppress(Exception):
                self._files.rm_file(self._final)
                self._files.rm_file(f"{self._final}.json")

    def _put(self) -> None:
        if puts_whole(self._files):
            put(self._files, self._path, self._final)
            return
        put(self._files, self._path, self._unseen)
        self._files.mv(self._unseen, self._final)


def manifest_of(path: Path) -> Path:
    """Name the manifest that lies beside a file."""
    return path.with_name(f"{path.name}.json")


def sync_folder(folder: Path) -> None:
    """Make what was renamed, made and removed in a folder durable against a power cut."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _encoded(manifest: Mapping[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
