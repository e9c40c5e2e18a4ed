"""Grow a file out of sight, then make it visible: whole, or not at all."""

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from tasks.reports.artifacts.growing_file import GrowingFile
from tasks.stores import store_troubles

#: What a manifest's name has more than the draft's that it lies beside.
MANIFEST = ".json"


class Draft(ABC):
    """A file in the making, unseen until it is published."""

    #: Whether its final place is on no disk of this machine: to publish it takes its time.
    is_elsewhere: ClassVar[bool] = False
    #: Where many are synced: in how many threads, and how many by one call. On a disk the
    #: first one that is synced brings most of what the others need along.
    syncs_at_a_time: ClassVar[int] = 1
    synced_by_one_call: ClassVar[int] = 16

    def __init__(self, url: str, raw: GrowingFile, buffer_bytes: int) -> None:
        self.url = url
        self._raw = raw
        self._is_ready = False
        #: Write here; small pieces cost little, and the file is hashed beside the writer.
        self.file: io.BufferedWriter = io.BufferedWriter(raw, buffer_bytes)

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

    @abstractmethod
    def prepare(self, manifest: Mapping[str, Any]) -> None:
        """Do what of publishing costs no wait: the sealed draft's manifest is known now."""

    @abstractmethod
    def sync(self) -> None:
        """Do all of publishing that may take long: what is prepared will outlive a power cut.

        For any thread. What a store elsewhere got is seen then, under a name of this run
        alone, and means nothing until it is recorded. Raises :class:`tasks.stores.StoreTrouble`.
        """

    @property
    def is_ready(self) -> bool:
        """Whether it was prepared and synced."""
        return self._is_ready

    @abstractmethod
    def show(self) -> None:
        """Make the ready draft and its manifest visible under their final names.

        The manifest first: whoever sees the artifact finds what describes it.
        Raises :class:`tasks.stores.StoreTrouble`.
        """

    @property
    def folder(self) -> str | None:
        """The folder to be synced once drafts are shown there, if it is on this machine."""
        return None

    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Go all the way that is left: durable and visible, or not to be seen at all.

        Raises :class:`tasks.stores.StoreTrouble`.
        """
        if not self.is_ready:
            self.prepare(manifest)
            self.sync()
        self.show()
        if self.folder is not None:
            with store_troubles(self.folder):
                sync_folder(self.folder)

    def withdraw(self) -> None:  # noqa: B027 - often nothing
        """Take back what was sent for nothing, if the store lets us; the rest is left over."""

    @abstractmethod
    def discard(self) -> None:
        """Close it; of a draft that was not shown nothing stays. Raises nothing."""


def sync_folder(folder: str | Path) -> None:
    """Make what was renamed, made and removed in a folder durable against a power cut."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def encoded(manifest: Mapping[str, Any]) -> bytes:
    """Write a manifest as JSON for people too."""
    return msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
