"""Whether the folders are there that jobs read from and write to."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from config import Settings
from worker.doctor.finding import Finding, ok, problem


def look_at_folders(settings: Settings) -> Iterator[Finding]:
    """Tell whether reports can be written and files be read; object stores are not asked."""
    if (artifacts := _local(settings.artifacts)) is not None:
        yield _artifacts(artifacts)
    inbox = settings.inbox
    if inbox is not None and not (inbox.is_dir() and os.access(inbox, os.R_OK | os.X_OK)):
        sentence = f"{inbox} is no folder that this user may read"
        yield problem("inbox", sentence, f"mkdir -p {inbox}, or correct CELERIAC_INBOX")
    elif inbox is not None:
        yield ok("inbox", str(inbox))


def _artifacts(folder: Path) -> Finding:
    nearest = next(one for one in (folder, *folder.parents) if one.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        sentence = f"reports go to {folder}, but this user may not write to {nearest}"
        return problem("artifacts", sentence, f"chown {os.getuid()} {nearest}")
    return ok("artifacts", str(folder))


def _local(url: str) -> Path | None:
    """Return the folder that an fsspec URL names on this machine."""
    parts = urlsplit(url)
    if not parts.scheme:
        return Path(url).absolute()
    return Path(unquote(parts.path)) if parts.scheme in ("file", "local") else None
