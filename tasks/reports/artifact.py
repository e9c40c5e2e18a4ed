"""Say where the artifact of a job goes, and begin its draft there.

Its name is made of the report's declared name and a hash of the job's id,
never of what a user wrote.
"""

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.reports.draft import Draft, Neighbour, Upload
from tasks.stores import file_system_of, is_of_this_machine

_STEM_CHARACTERS = 32


@contextmanager
def drafted(artifacts: str, report: str, job_id: str, extension: str) -> Iterator[Draft]:
    """Begin the artifact of a job; unless it is published inside, nothing of it stays."""
    stem = hashlib.sha256(job_id.encode()).hexdigest()[:_STEM_CHARACTERS]
    files, root = file_system_of(artifacts)
    final = f"{root.rstrip('/')}/{report}/{stem}.{extension}"
    url = files.unstrip_protocol(final)
    if is_of_this_machine(files):
        with _beside(Path(final)) as path, path.open("xb") as file:
            yield Neighbour(url, file, final=Path(final), path=path)
        return
    with tempfile.NamedTemporaryFile(prefix="celeriac-") as file:
        yield Upload(url, file, files=files, final=final)


def exists(url: str) -> bool:
    """Tell whether a published artifact is still there."""
    files, path = file_system_of(url)
    return bool(files.exists(path))


@contextmanager
def _beside(final: Path) -> Iterator[Path]:
    """Name a draft in the final folder, where a rename can publish it at once."""
    final.parent.mkdir(parents=True, exist_ok=True)
    # Only one run of a job gets past its claim: other drafts are of the dead, or of
    # one that stalled and lost it, and must not find its draft when it wakes.
    _remove_drafts(final)
    path = final.with_name(f".{final.stem}.{secrets.token_hex(8)}.draft")
    try:
        yield path
    finally:
        for left in (path, path.with_suffix(".json")):
            left.unlink(missing_ok=True)


def _remove_drafts(final: Path) -> None:
    with os.scandir(final.parent) as entries:
        stale = [entry.path for entry in entries if entry.name.startswith(f".{final.stem}.")]
    for path in stale:
        Path(path).unlink(missing_ok=True)
