"""Make file jobs of files, folders and globs: one a file, and a file once.

A job's id says which file it is of, by target, path and content. So a file
that was loaded, or is being loaded, is known again and left alone.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celeriac.contract import INGEST_FILE, State
from postgres import Cursor
from postgres.file_jobs import FileJob, find_file_jobs
from postgres.outbox import Entry
from tasks.files import BadFile, FileOptions, Unreachable, open_source, read_options

_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_PREFIX_BYTES = 12


class BadPlace(Exception):
    """A place from which no file can be loaded; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class FileToLoad:
    """A file as its job names it, and what tells its content from another's."""

    url: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done about a file: a new job, an old one to follow, or nothing, and why."""

    file: FileToLoad
    job_id: str
    entry: Entry | None
    skipped: str | None = None
    is_refused: bool = False


def files_at(place: str, inbox: Path | None) -> list[Path]:
    """Return the files that a path, a folder or a glob names, all inside the inbox.

    What is not there as seen from the working folder is looked for from the inbox on.
    """
    if inbox is None:
        raise BadPlace(
            "CELERIAC_INBOX is not set: set it to the folder that file jobs may read from"
        )
    root = inbox.resolve()
    found = sorted(_found(Path(place))) or sorted(_found(root / place))
    if not found:
        raise BadPlace(f"{place!r} names no file: check the spelling, and quotes around a glob")
    for path in found:
        if not path.resolve().is_relative_to(root):
            raise BadPlace(f"{path} lies outside the inbox {inbox}: move it there")
    return [path.resolve() for path in found]


def local_file(path: Path) -> FileToLoad:
    """Read a whole file for its checksum."""
    with path.open("rb") as file:
        return FileToLoad(str(path), hashlib.file_digest(file, "sha256").hexdigest())


def remote_file(url: str, prefixes: Sequence[str]) -> FileToLoad:
    """Look at a file from outside: its size, its time, its tag."""
    try:
        with open_source(url, FileOptions(), inbox=None, prefixes=prefixes) as source:
            return FileToLoad(url, json.dumps(source.fingerprint.to_json()))
    except (BadFile, Unreachable) as error:
        raise BadPlace(str(error)) from error


def plan(
    file: FileToLoad,
    target: str,
    format_: str | None,
    options: Mapping[str, Any],
    cursor: Cursor,
) -> Planned:
    """Decide what becomes of a file, by what the ledger knows of it."""
    prefix = _prefix(target, file)
    try:
        read_options(file.url, format_, options)
    except BadFile as error:
        return Planned(file, f"{prefix}-1", None, str(error), is_refused=True)
    known = find_file_jobs(prefix, cursor)
    words = _why_not(known)
    if words is not None:
        is_in = any(one.state is State.COMMITTED for one in known)
        return Planned(file, known[-1].id, None, words, is_refused=not is_in)
    under_way = [one for one in known if one.state is State.WORKING]
    if under_way:
        return Planned(file, under_way[-1].id, None)
    # Of those that ended without a row the ids are taken.
    id_ = f"{prefix}-{len(known) + 1}"
    arguments = {"target": target, "url": file.url, "format": format_, "options": dict(options)}
    body = json.dumps([[], arguments, _EMBED])
    return Planned(file, id_, Entry(id_, INGEST_FILE, body))


def _found(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    elif place.is_dir():
        yield from _visible_files(place.iterdir())
    else:
        yield from _visible_files(Path(place.anchor or ".").glob(_below_anchor(place)))


def _below_anchor(place: Path) -> str:
    return str(place.relative_to(place.anchor)) if place.anchor else str(place)


def _visible_files(paths: Iterator[Path]) -> Iterator[Path]:
    return (path for path in paths if path.is_file() and not path.name.startswith("."))


def _prefix(target: str, file: FileToLoad) -> str:
    digest = hashlib.blake2b(digest_size=_PREFIX_BYTES)
    digest.update(json.dumps([target, file.url, file.checksum]).encode())
    return f"file-{digest.hexdigest()}"


def _why_not(known: Sequence[FileJob]) -> str | None:
    """Say why a file is left alone that these jobs were of; None if it is not."""
    for one in known:
        if one.state is State.COMMITTED:
            return f"loaded already, {one.rows} rows by job {one.id}"
        if one.state is State.HELD:
            return f"held: its target has to be resumed, then job {one.id} goes on"
        if one.state in (State.DEAD, State.CANCELLED) and one.rows:
            return (
                f"{one.rows} rows of it are in, by job {one.id}, which is {one.state}: look at it"
            )
    return None
