"""A draft on this machine: written out of sight, synced, renamed."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from tasks.reports.artifacts.draft import MANIFEST, Draft, encoded
from tasks.reports.artifacts.growing_file import GrowingFile
from tasks.stores import store_troubles

#: Of larger files the disk has the most already, and whoever reads them wants the rest in memory.
_SMALL_BYTES = 1 << 20


class LocalDraft(Draft):
    """A draft on the disk of its final name; a rename publishes it."""

    def __init__(self, raw: GrowingFile, buffer_bytes: int, *, path: str, final: str) -> None:
        super().__init__(f"file://{final}", raw, buffer_bytes)
        # Texts: objects for paths cost more than the calls that take them.
        self._path, self._described = path, f"{path}{MANIFEST}"
        self._final = final
        self._manifest: BinaryIO | None = None
        self._is_shown = False

    @property
    def folder(self) -> str:
        """The folder of its final name."""
        return self._final.rpartition("/")[0]

    def prepare(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest beside the draft, and have the disk begin with both."""
        with store_troubles(self.folder):
            self._manifest = open(self._described, "xb")  # noqa: SIM115, PTH123 - until discarded
            self._manifest.write(encoded(manifest))
            self._manifest.flush()
            if self.size_bytes <= _SMALL_BYTES:
                _begin_writing(self._raw.fileno())
                _begin_writing(self._manifest.fileno())

    def sync(self) -> None:
        """Bring the draft and its manifest to the disk."""
        if self._manifest is None:
            raise ValueError(f"{self._path} was not prepared: call prepare() before sync()")
        with store_troubles(self.folder):
            os.fsync(self._raw.fileno())
            os.fsync(self._manifest.fileno())
        self._is_ready = True

    def show(self) -> None:
        """Rename the manifest, then the draft; durable when its folder is synced."""
        with store_troubles(self.folder):
            described = f"{self._final}{MANIFEST}"
            os.rename(self._described, described)  # noqa: PTH104 - see above
            try:
                os.rename(self._path, self._final)  # noqa: PTH104 - see above
            except OSError:
                Path(described).unlink(missing_ok=True)
                raise
        self._is_shown = True

    def discard(self) -> None:
        """Close both files, and remove them if they have no final names."""
        for file in (self._raw, self._manifest):
            if file is not None:
                # What a full disk refused was told when it was written.
                with suppress(OSError):
                    file.close()
        if not self._is_shown:
            for path in (self._path, self._described):
                with suppress(OSError):
                    Path(path).unlink(missing_ok=True)


def _begin_writing(number: int) -> None:
    """Have the kernel write a file out, without waiting for it.

    The file system then brings what many files need to the disk at once, for whoever
    syncs the first of them.
    """
    # Advice alone: a file system that knows no such thing syncs all the same.
    with suppress(AttributeError, OSError):
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
