"""A draft for a store elsewhere: written on this machine's disk, then put."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.reports.artifacts.draft import MANIFEST, Draft, encoded
from tasks.reports.artifacts.growing_file import GrowingFile
from tasks.stores import put, puts_whole, store_troubles

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


class Upload(Draft):
    """A draft on the local disk, for a store elsewhere; one PUT publishes it."""

    is_elsewhere: ClassVar[bool] = True
    #: A store takes some time for each, however small it is.
    syncs_at_a_time: ClassVar[int] = 8
    synced_by_one_call: ClassVar[int] = 1

    def __init__(
        self,
        raw: GrowingFile,
        buffer_bytes: int,
        *,
        files: "AbstractFileSystem",
        unseen: str,
        final: str,
    ) -> None:
        super().__init__(files.unstrip_protocol(final), raw, buffer_bytes)
        self._path = f"/proc/self/fd/{raw.fileno()}"
        self._files = files
        #: Where a file lies until it is whole, in a store that shows files as they grow.
        self._unseen = unseen
        self._final = final
        self._manifest = b""
        self._is_shown = False

    def prepare(self, manifest: Mapping[str, Any]) -> None:
        """Keep what the manifest says until it is put."""
        self._manifest = encoded(manifest)

    def sync(self) -> None:
        """Put the manifest, then the draft."""
        with store_troubles(self._final.rpartition("/")[0]):
            if not puts_whole(self._files):
                for path in (self._unseen, self._final):
                    self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(f"{self._final}{MANIFEST}", self._manifest)
            try:
                self._put()
            except Exception:
                with suppress(Exception):
                    self._files.rm_file(f"{self._final}{MANIFEST}")
                raise
        self._is_ready = True

    def show(self) -> None:
        """Leave it where it is: it was put under its final name."""
        self._is_shown = True

    def withdraw(self) -> None:
        """Remove the draft, then its manifest, which says whose it is."""
        if self._is_ready:
            with suppress(Exception):
                self._files.rm_file(self._final)
                self._files.rm_file(f"{self._final}{MANIFEST}")
            self._is_ready = False

    def discard(self) -> None:
        """Close the file, which has no name here; take back what nobody is to see."""
        self._raw.close()
        if not self._is_shown:
            self.withdraw()

    def _put(self) -> None:
        if puts_whole(self._files):
            put(self._files, self._path, self._final)
            return
        put(self._files, self._path, self._unseen)
        self._files.mv(self._unseen, self._final)
