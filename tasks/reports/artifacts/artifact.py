"""Say where the artifact of a job goes, and begin its draft there.

Its name is made of the report's declared name, a hash of the job's id and a
random token, never of what a user wrote. The token is of one run: one that
stalled, and wakes when another has done its job, overwrites nothing.
"""

import errno
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tasks.reports.artifacts.draft import Draft, sync_folder
from tasks.reports.artifacts.growing_file import GrowingFile
from tasks.reports.artifacts.local_draft import LocalDraft
from tasks.reports.artifacts.upload import Upload
from tasks.stores import StoreTrouble, file_system_of, is_of_this_machine, store_troubles

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

#: Below ARTIFACTS: what is not published yet. No report can be called so.
DRAFTS = ".drafts"
#: What a job's artifact is called, before its token and extension.
STEM_CHARACTERS = 32
TOKEN_CHARACTERS = 16

#: Only we need what is not published; who may read the rest, the umask says.
_DRAFTS_MODE = 0o700
#: While a draft is written, the disk's own trouble: of space, quotas and limits, of the device.
_OF_THE_DISK = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE}
)


@contextmanager
def drafted(artifacts: str, report: str, job_id: str, extension: str) -> Iterator[Draft]:
    """Begin the artifact of a job; unless it is published inside, nothing of it stays.

    Raises :class:`StoreTrouble` when ARTIFACTS takes no file now, also for
    what was raised inside for want of space.
    """
    with Drafting(artifacts) as drafting:
        try:
            yield drafting.begin(report, job_id, extension)
        except OSError as error:
            raise drafting.trouble(error) from error


@dataclass
class Drafting:
    """Where the drafts of one batch begin: what is the same for all is looked at once.

    Unless they are published before it is left, nothing of them stays. Of each of its jobs
    the batch has the claim open, or its only job's lock; company leaves alone what a long run has.
    """

    artifacts: str
    #: Of each draft's file, while it is written.
    buffer_bytes: int = 1 << 20
    #: Of this machine, by name, those that are known to be folders.
    _folders: dict[str, Path] = field(default_factory=dict, init=False)
    _begun: list[Draft] = field(default_factory=list, init=False)

    def __enter__(self) -> "Drafting":
        return self

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for draft in self._begun:
            draft.discard()

    def begin(self, report: str, job_id: str, extension: str) -> Draft:
        """Begin the artifact of a job. Raises :class:`StoreTrouble`."""
        stem = stem_of(job_id)
        name = f"{stem}.{secrets.token_hex(TOKEN_CHARACTERS // 2)}.{extension}"
        with store_troubles(self.artifacts):
            files, root = self._store
            if files is None:
                draft = self._on_this_machine(root, report, stem, name)
            else:
                unseen, final = f"{root}/{DRAFTS}/{name}", f"{root}/{report}/{name}"
                draft = Upload(
                    _unnamed(), self.buffer_bytes, files=files, unseen=unseen, final=final
                )
        self._begun.append(draft)
        return draft

    def trouble(self, error: OSError) -> Exception:
        """Tell what a full or broken disk did to a draft from what is wrong with its report."""
        if error.errno not in _OF_THE_DISK:
            return error
        return StoreTrouble(f"{self.artifacts} is in trouble: {error}")

    @cached_property
    def _store(self) -> tuple["AbstractFileSystem | None", str]:
        """Return the store, None for this machine's own folders, and the root there."""
        files, root = file_system_of(self.artifacts)
        return (None if is_of_this_machine(files) else files), root.rstrip("/")

    def _on_this_machine(self, root: str, report: str, stem: str, name: str) -> Draft:
        folder = self._folder(root, report)
        drafts = self._folder(root, DRAFTS, _DRAFTS_MODE)
        # Other drafts of the job are of the dead, or of one that stalled and lost the job,
        # and must not find its draft when it wakes.
        for left in self._left.pop(stem, ()):
            left.unlink(missing_ok=True)
        path, final = f"{drafts}/{name}", f"{folder}/{name}"
        return LocalDraft(GrowingFile(path, "x+b"), self.buffer_bytes, path=path, final=final)

    def _folder(self, root: str, name: str, mode: int = 0o777) -> Path:
        known = self._folders.get(name)
        if known is None:
            known = self._folders[name] = _made(Path(root), name, mode)
        return known

    @cached_property
    def _left(self) -> dict[str, list[Path]]:
        """The drafts that lay there when the first of these began, by stem."""
        found: dict[str, list[Path]] = {}
        for path in self._folders[DRAFTS].iterdir():
            found.setdefault(path.name.partition(".")[0], []).append(path)
        return found


def exists(url: str) -> bool:
    """Tell whether a published artifact is still there. Raises :class:`StoreTrouble`."""
    with store_troubles(url):
        files, path = file_system_of(url)
        return bool(files.exists(path))


def stem_of(job_id: str) -> str:
    """Return what all files of a job are called, up to the first dot."""
    return hashlib.sha256(job_id.encode()).hexdigest()[:STEM_CHARACTERS]


def _unnamed() -> GrowingFile:
    with tempfile.TemporaryFile(prefix="celeriac-", buffering=0) as unnamed:
        # Without a name: whatever dies, nothing of it is left on the disk.
        return GrowingFile(os.dup(unnamed.fileno()), "r+b")


def _made(root: Path, name: str, mode: int = 0o777) -> Path:
    """Return a folder below the root that really is there, and will be after a power cut."""
    folder = root / name
    if not folder.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode, exist_ok=True)
        sync_folder(root)
    # Wherever the root itself leads: only a link in its last part leads out of it.
    if folder.is_symlink():
        raise StoreTrouble(f"{folder} leads to {folder.resolve()}: make it a folder of its own")
    return folder
