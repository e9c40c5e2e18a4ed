"""Folders of files on this machine; no link is followed out of them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tasks.reports.artifacts.artifact import DRAFTS
from tasks.stores import StoreTrouble


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that was come across."""

    place: str
    changed_at: float


@dataclass(frozen=True, slots=True)
class LocalShelf:
    """The folders below a root."""

    root: Path

    def url(self, place: str) -> str:
        """Name a file as workers do."""
        return f"file://{self.root}/{place}"

    def is_here(self) -> bool:
        """Tell whether a worker ever began a draft there."""
        return (self.root / DRAFTS).is_dir()

    def files(self, folder: str | None = None) -> Iterator[LocalFile]:
        """Yield the files in one folder, or in all; of links, none."""
        for name in self._folders() if folder is None else [folder]:
            yield from self._files_in(name)

    def open(self, place: str) -> BinaryIO:
        """Open a file; a link is trouble."""
        path = self._path(place)
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")

    def exists(self, place: str) -> bool:
        """Tell whether a file, and not a link, is there."""
        path = self._path(place)
        return path.is_file() and not path.is_symlink()

    def remove(self, place: str) -> None:
        """Remove a file, or a link in its place; what is gone is fine."""
        self._path(place).unlink(missing_ok=True)

    def _folders(self) -> list[str]:
        try:
            with os.scandir(self.root) as entries:
                return sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def _files_in(self, folder: str) -> Iterator[LocalFile]:
        try:
            entries = os.scandir(self._path(folder))
        except FileNotFoundError:
            return
        with entries:
            for one in entries:
                try:
                    if one.is_file(follow_symlinks=False):
                        changed_at = one.stat(follow_symlinks=False).st_mtime
                        yield LocalFile(f"{folder}/{one.name}", changed_at)
                except FileNotFoundError:
                    continue

    def _path(self, place: str) -> Path:
        """Return a path after making sure that its folder is no link to somewhere else."""
        folder = self.root / place.partition("/")[0]
        if folder.is_symlink():
            raise StoreTrouble(f"{folder} leads to {folder.resolve()}: nothing is touched there")
        return self.root / place
