"""Folders of files in a store that fsspec knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

#: How stores call the time of an object's last change.
_CHANGED = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A file that was come across."""

    place: str
    changed_at: float


@dataclass(frozen=True, slots=True)
class StoreShelf:
    """The folders below a root. Of one folder, all names are in memory at a time."""

    store: "AbstractFileSystem"
    root: str

    def url(self, place: str) -> str:
        """Name a file as workers do."""
        return str(self.store.unstrip_protocol(f"{self.root}/{place}"))

    def is_here(self) -> bool:
        """Tell that the store is the same for everybody."""
        return True

    def files(self, folder: str | None = None) -> Iterator[StoreFile]:
        """Yield the files in one folder, or in all."""
        for path in self._folders() if folder is None else [f"{self.root}/{folder}"]:
            name = path.rstrip("/").rpartition("/")[2]
            for one in self._list(path):
                changed_at = _changed_at(one)
                if one["type"] == "file" and changed_at is not None:
                    yield StoreFile(f"{name}/{one['name'].rpartition('/')[2]}", changed_at)

    def open(self, place: str) -> BinaryIO:
        """Open a file."""
        return cast("BinaryIO", self.store.open(f"{self.root}/{place}", "rb"))

    def exists(self, place: str) -> bool:
        """Tell whether a file is there."""
        return bool(self.store.exists(f"{self.root}/{place}"))

    def remove(self, place: str) -> None:
        """Remove a file; what is gone is fine."""
        try:
            self.store.rm_file(f"{self.root}/{place}")
        except FileNotFoundError:
            return

    def _folders(self) -> list[str]:
        return sorted(str(one["name"]) for one in self._list(self.root) if one["type"] != "file")

    def _list(self, path: str) -> list[dict[str, Any]]:
        # A process that lives long must not be told what it was told before.
        self.store.invalidate_cache()
        try:
            found: list[dict[str, Any]] = self.store.ls(path, detail=True)
        except FileNotFoundError:
            return []
        return found


def _changed_at(info: dict[str, Any]) -> float | None:
    """Return a file's age as its store tells it; a file of unknown age is young for ever."""
    for name in _CHANGED:
        told = info.get(name)
        if isinstance(told, datetime):
            return told.timestamp()
        if isinstance(told, int | float):
            return float(told)
    return None
