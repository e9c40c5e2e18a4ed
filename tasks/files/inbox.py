"""Open a file inside the inbox, without being led out of it."""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from tasks.files.errors import BadFile, Unreachable

# A fifo must not make the worker wait for somebody to write into it.
_SAFELY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

#: What waiting does not cure; all else (a full table of files, a network disk away) may pass.
_LASTING = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG}
)


def open_in_inbox(path: str, inbox: Path | None) -> BinaryIO:
    """Open a regular file below the inbox, named relative to it or from the root.

    Goes down folder by folder, each opened inside the one before: whatever is
    renamed or linked meanwhile, nothing outside is ever opened. Symbolic links
    are refused wherever they point.
    """
    if inbox is None:
        raise BadFile(
            f"{path!r} is a local file, but CELERIAC_INBOX is not set: "
            "set it to the folder that file jobs may read from"
        )
    parts = _parts(path, inbox)
    folder = _open_inbox(inbox)
    try:
        return _descend(path, parts, folder)
    finally:
        os.close(folder)


def _parts(path: str, inbox: Path) -> Sequence[str]:
    if "\0" in path:
        raise BadFile(f"{path!r} is no path: it holds a NUL character")
    named = Path(path)
    if named.is_absolute():
        for root in (inbox.absolute(), inbox.resolve()):
            if named.is_relative_to(root):
                named = named.relative_to(root)
                break
        else:
            raise BadFile(f"{path!r} lies outside the inbox {inbox}: move it there")
    if ".." in named.parts:
        raise BadFile(f"{path!r} must not go up by '..': name the file from the inbox {inbox} on")
    if not named.parts:
        raise BadFile(f"{path!r} is the inbox itself: name a file in it")
    return named.parts


def _open_inbox(inbox: Path) -> int:
    try:
        return os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unreachable(f"cannot open the inbox {inbox}: {error.strerror}") from error


def _descend(path: str, parts: Sequence[str], folder: int) -> BinaryIO:
    here = os.dup(folder)
    try:
        for part in parts[:-1]:
            below = _open_one(path, part, here, stat.S_ISDIR)
            os.close(here)
            here = below
        return os.fdopen(_open_one(path, parts[-1], here, stat.S_ISREG), "rb", buffering=0)
    finally:
        os.close(here)


def _open_one(path: str, part: str, folder: int, is_wanted: Callable[[int], bool]) -> int:
    try:
        # Asked before it is opened, because opening a device may already do something.
        _refuse_unless(is_wanted, os.lstat(part, dir_fd=folder).st_mode, path, part)
        opened = os.open(part, _SAFELY, dir_fd=folder)
    except OSError as error:
        raise _refusal(path, part, error) from error
    try:
        # Asked again: it may be another one by now.
        _refuse_unless(is_wanted, os.fstat(opened).st_mode, path, part)
    except BadFile:
        os.close(opened)
        raise
    return opened


def _refuse_unless(is_wanted: Callable[[int], bool], mode: int, path: str, part: str) -> None:
    if is_wanted(mode):
        return
    if stat.S_ISLNK(mode):
        raise BadFile(
            f"{path!r}: {part!r} is a symbolic link, which could lead out of the inbox: "
            "put the file itself there"
        )
    wanted = "folder" if is_wanted is stat.S_ISDIR else "regular file"
    raise BadFile(f"{path!r}: {part!r} is no {wanted}")


def _refusal(path: str, part: str, error: OSError) -> Exception:
    if error.errno in _LASTING:
        return BadFile(f"{path!r}: {part!r} cannot be opened: {error.strerror}")
    return Unreachable(f"{path!r}: {part!r} cannot be opened: {error.strerror}")
