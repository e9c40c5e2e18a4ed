"""The published artifacts of a deployment: find them, read them, remove them.

Only what we may have written there is ever touched: a file with a name that
:mod:`tasks.reports.artifacts.artifact` makes, in a report's folder, straight below
ARTIFACTS. Whatever else lies there, or a URL in a table says, is left alone.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from tasks.reports.artifacts.artifact import DRAFTS, STEM_CHARACTERS, TOKEN_CHARACTERS
from tasks.reports.artifacts.local_shelf import LocalShelf
from tasks.reports.artifacts.store_shelf import StoreShelf
from tasks.stores import StoreTrouble, file_system_of, is_of_this_machine, store_troubles

_STEM = rf"[0-9a-f]{{{STEM_CHARACTERS}}}"
#: Earlier versions wrote none.
_TOKEN = rf"(?:\.[0-9a-f]{{{TOKEN_CHARACTERS}}})?"
_NAME = rf"{_STEM}{_TOKEN}(?:\.[a-z][a-z0-9]*){{1,2}}"
_PLACE = re.compile(rf"[a-z][a-z0-9_]*/{_NAME}")
_MANIFEST = ".json"
_MANIFEST_BYTES = 1 << 24


class Found(Protocol):
    """A file that was come across."""

    @property
    def place(self) -> str:
        """Where it lies: ``folder/name``."""
        ...

    @property
    def changed_at(self) -> float:
        """When it was last written, in seconds since 1970."""
        ...


class Shelf(Protocol):
    """Folders of one depth below a root, on this machine or in a store."""

    def url(self, place: str) -> str:
        """Name a file as workers do."""
        ...

    def is_here(self) -> bool:
        """Whether workers write there at all, as seen from this machine."""
        ...

    def files(self, folder: str | None = None) -> Iterator[Found]:
        """Yield the files in one folder, or in all."""
        ...

    def open(self, place: str) -> BinaryIO:
        """Open a file to be read. Raises :class:`FileNotFoundError`."""
        ...

    def exists(self, place: str) -> bool:
        """Tell whether a file is there."""
        ...

    def remove(self, place: str) -> None:
        """Remove a file; one that is gone is fine."""
        ...


@dataclass(frozen=True, slots=True)
class Archive:
    """The artifacts below one URL. Each method may raise :class:`StoreTrouble`."""

    artifacts: str
    shelf: Shelf

    def is_here(self) -> bool:
        """Tell whether this is where workers write; without it, all files would seem gone."""
        with store_troubles(self.artifacts):
            return self.shelf.is_here()

    def place(self, url: str) -> str | None:
        """Return where below ARTIFACTS a URL leads; None if we would not have written there."""
        place = "/".join(url.split("/")[-2:])
        if _PLACE.fullmatch(place) is None or place.endswith(_MANIFEST):
            return None
        return place if url == self.shelf.url(place) else None

    def blocks(self, place: str, block_bytes: int) -> Iterator[bytes]:
        """Yield what a file holds. Raises :class:`FileNotFoundError` if it is not there."""
        try:
            with store_troubles(self.artifacts), self.shelf.open(place) as file:
                while block := file.read(block_bytes):
                    yield block
        except StoreTrouble as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise error.__cause__ from None
            raise

    def remove(self, place: str) -> None:
        """Remove an artifact, and its manifest after it; what is gone already is fine."""
        with store_troubles(self.artifacts):
            self.shelf.remove(place)
            self.shelf.remove(place + _MANIFEST)

    def exists(self, place: str) -> bool:
        """Tell whether a file is there."""
        with store_troubles(self.artifacts):
            return self.shelf.exists(place)

    def published(self, report: str | None = None) -> Iterator[Found]:
        """Yield the artifacts of one report, or all, and manifests that have none."""
        with store_troubles(self.artifacts):
            for found in self.shelf.files(report):
                if _PLACE.fullmatch(artifact_of(found)):
                    yield found

    def drafts(self) -> Iterator[Found]:
        """Yield what was begun and not published; a run may be at it just now."""
        with store_troubles(self.artifacts):
            for found in self.shelf.files(DRAFTS):
                if re.fullmatch(rf"{_NAME}(?:\.json)?", found.place.partition("/")[2]):
                    yield found

    def ledger_of(self, place: str) -> str | None:
        """Return which ledger the manifest of an artifact speaks of; None if it says nothing."""
        with suppress(FileNotFoundError, msgspec.DecodeError):
            blocks = self.blocks(place + _MANIFEST, _MANIFEST_BYTES)
            return msgspec.json.decode(next(blocks, b""), type=_Told).ledger
        return None


def artifact_of(found: Found) -> str:
    """Return the place of the artifact that a file is, or describes."""
    return found.place.removesuffix(_MANIFEST)


class _Told(msgspec.Struct):
    """What we want to know of a manifest."""

    ledger: str | None = None


def open_archive(artifacts: str) -> Archive:
    """Return the archive below a URL, without looking at it yet."""
    with store_troubles(artifacts):
        files, root = file_system_of(artifacts)
        root = root.rstrip("/")
        is_local = is_of_this_machine(files)
    return Archive(artifacts, LocalShelf(Path(root)) if is_local else StoreShelf(files, root))
