"""Whether the folders and stores are there that jobs read from and write to."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from config import Settings
from tasks.stores import StoreTrouble, reach
from worker.doctor.finding import Finding, ok, problem


def look_at_folders(settings: Settings) -> Iterator[Finding]:
    """Tell whether reports can be written and files be read.

    A store is asked for its bucket alone: that this user may write there is not tried.
    """
    artifacts = _local(settings.artifacts)
    yield _store(settings.artifacts) if artifacts is None else _artifacts(artifacts)
    if settings.inbox is not None:
        yield _inbox(settings.inbox)


def _artifacts(folder: Path) -> Finding:
    quoted = shlex.quote(str(folder))
    mended = f"mkdir -p {quoted} && chown {os.getuid()} {quoted}, or correct CELERIAC_ARTIFACTS"
    try:
        nearest = next(one for one in (folder, *folder.parents) if one.exists())
    except OSError as error:
        return problem("artifacts", f"reports go to {folder}: {error.strerror}", mended)
    if not nearest.is_dir():
        sentence = f"reports go to {folder}, but {nearest} is a file"
        return problem("artifacts", sentence, "correct CELERIAC_ARTIFACTS, or move the file away")
    if not os.access(nearest, os.W_OK | os.X_OK):
        sentence = f"reports go to {folder}, but this user may not write to {nearest}"
        return problem("artifacts", sentence, mended)
    return ok("artifacts", str(folder))


def _store(url: str) -> Finding:
    try:
        reach(url)
    except StoreTrouble as error:
        remedy = "make the bucket, mend its credentials, or correct CELERIAC_ARTIFACTS"
        return problem("artifacts", f"reports go to {error}", remedy)
    return ok("artifacts", f"{url} answers")


def _inbox(folder: Path) -> Finding:
    quoted = shlex.quote(str(folder))
    try:
        is_there = folder.is_dir()
    except OSError:
        is_there = False
    if not is_there or not os.access(folder, os.R_OK | os.X_OK):
        sentence = f"{folder} is no folder that this user may read"
        return problem("inbox", sentence, f"mkdir -p {quoted}, or correct CELERIAC_INBOX")
    return ok("inbox", str(folder))


def _local(url: str) -> Path | None:
    """Return the folder that an fsspec URL names on this machine."""
    parts = urlsplit(url)
    if not parts.scheme:
        return Path(url).absolute()
    return Path(unquote(parts.path)) if parts.scheme in ("file", "local") else None
