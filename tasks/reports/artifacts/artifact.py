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
from pathlib import Path

from tasks.reports.artifacts.draft import Draft, LocalDraft, Upload, sync_folder
from tasks.reports.artifacts.growing_file import GrowingFile
from tasks.stores import StoreTrouble, file_system_of, is_of_this_machine, store_troubles

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
    stem = stem_of(job_id)
    name = f"{stem}.{secrets.token_hex(TOKEN_CHARACTERS // 2)}.{extension}"
    with store_troubles(artifacts):
        files, root = file_system_of(artifacts)
        root = root.rstrip("/")
        is_local = is_of_this_machine(files)
    try:
        if is_local:
            with _on_this_machine(Path(root), report, stem, name) as local:
                yield local
            return
        with tempfile.TemporaryFile(prefix="celeriac-", buffering=0) as unnamed:
            # Without a name: whatever dies, nothing of it is left on the disk.
            raw = GrowingFile(os.dup(unnamed.fileno()), "r+b")
            path = f"/proc/self/fd/{unnamed.fileno()}"
            final, unseen = f"{root}/{report}/{name}", f"{root}/{DRAFTS}/{name}"
            with raw:
                yield Upload(raw, path=path, files=files, unseen=unseen, final=final)
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        raise StoreTrouble(f"{artifacts} is in trouble: {error}") from error


def exists(url: str) -> bool:
    """Tell whether a published artifact is still there. Raises :class:`StoreTrouble`."""
    with store_troubles(url):
        files, path = file_system_of(url)
        return bool(files.exists(path))


def stem_of(job_id: str) -> str:
    """Return what all files of a job are called, up to the first dot."""
    return hashlib.sha256(job_id.encode()).hexdigest()[:STEM_CHARACTERS]


@contextmanager
def _on_this_machine(root: Path, report: str, stem: str, name: str) -> Iterator[Draft]:
    with store_troubles(str(root)):
        folder = _made(root, report)
        drafts = _made(root, DRAFTS, _DRAFTS_MODE)
        # One run of a job gets here at a time: in company its claim is open, alone it has the
        # job's lock, and company leaves a job alone that a long run has. Other drafts are of the
        # dead, or of one that stalled and lost the job, and must not find its draft when it wakes.
        _remove_drafts(drafts, stem)
        raw = GrowingFile(str(drafts / name), "x+b")
    try:
        with raw:
            yield LocalDraft(raw, path=drafts / name, final=folder / name)
    finally:
        for left in (drafts / name, drafts / f"{name}.json"):
            left.unlink(missing_ok=True)


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


def _remove_drafts(drafts: Path, stem: str) -> None:
    with os.scandir(drafts) as entries:
        stale = [entry.path for entry in entries if entry.name.startswith(f"{stem}.")]
    for path in stale:
        Path(path).unlink(missing_ok=True)
