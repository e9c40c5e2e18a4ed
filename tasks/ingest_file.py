"""The kind ``celeriac.ingest_file``: a file into the target that it names, chunk by chunk.

Each chunk is committed with its place in the file, so that a job that was
interrupted goes on behind it; or all chunks in one transaction, if asked for.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import msgspec

from celeriac.contract import INGEST_FILE, MAX_BODY_BYTES, QUEUES, State
from postgres.decision import Decision, decide
from postgres.errors import Refused
from tasks.files import (
    START,
    BadFile,
    Chunk,
    FileOptions,
    Fingerprint,
    Position,
    Reader,
    Source,
    Unreachable,
    open_reader,
    open_source,
    read_options,
)
from tasks.kind import BadPayload, Counts, Job, Limits, Outcome, Preview, Tools
from tasks.load_chunk import ChunkRefused, Loader
from tasks.long_kind import LongKind, NotNow, Step, Steps
from tasks.read_ahead import make_ahead, read_ahead
from tasks.target import Target, too_many_bad
from tasks.targets import load_targets

#: How often a chunk is tried again at once that collided with somebody else's rows.
_COLLISIONS = 4
_DAY_SECONDS = 86_400.0


class IngestFilePayload(msgspec.Struct, forbid_unknown_fields=True):
    """The arguments of ``celeriac.ingest_file``."""

    target: str
    url: str
    format: str | None = None
    options: dict[str, Any] = {}


class IngestFile(LongKind[IngestFilePayload]):
    """Load a file; set aside the records that PostgreSQL refuses, with line and reason."""

    name = INGEST_FILE
    queue = QUEUES[INGEST_FILE]
    reads_reports = False
    payload = IngestFilePayload
    limits = Limits(jobs=1, rows=1, body_bytes=MAX_BODY_BYTES, seconds=_DAY_SECONDS)

    _tools: Tools
    _targets: Mapping[str, Target] = MappingProxyType({})

    def open(self, tools: Tools) -> None:
        """Read which targets there are."""
        self._tools = tools
        self._targets = load_targets(tools.catalog)

    def subject(self, payload: IngestFilePayload) -> str:
        """The target."""
        return payload.target

    def check(self, payload: IngestFilePayload) -> None:
        """Refuse an unknown target, format or option; the file itself is not looked at."""
        if payload.target not in self._targets:
            known = ", ".join(sorted(self._targets)) or "none"
            raise BadPayload(f"target {payload.target!r} is not in the catalog, which has: {known}")
        _options(payload)

    def preview(self, arguments: Mapping[str, Any]) -> Preview:
        """Name target and file."""
        target, url = arguments.get("target"), arguments.get("url")
        name = PurePosixPath(url).name[:100] if isinstance(url, str) else "no file"
        return Preview(subject=str(target), rows=1, text=f"{target} · {name}")

    def run_long(self, job: Job[IngestFilePayload], steps: Steps) -> Outcome:
        """Load what is not loaded yet; what is in stays in, whatever becomes of the rest."""
        try:
            self._load(job, steps)
        except BadFile as error:
            rows = steps.place.rows
            done = f"; {rows} rows of it are in, and stay" if rows else ""
            return Outcome(job.id, State.DEAD, error=f"{error}{done}")
        except Unreachable as error:
            raise NotNow(str(error)) from error
        except ChunkRefused as refused:
            return Outcome(job.id, refused.state, error=str(refused))
        except Refused as refused:
            return _closed(job.id, refused)
        return Outcome(job.id, State.COMMITTED)

    def _load(self, job: Job[IngestFilePayload], steps: Steps) -> None:
        options = _options(job.payload)
        opened = partial(self._open, job.payload.url, options)
        with make_ahead(opened, steps.beat, _nothing) as source:
            read = partial(_reader, source, options, steps.position)
            reader = make_ahead(read, steps.beat, source.give_up)
            target = self._targets[job.payload.target]
            loader = Loader(job.id, target, reader, job.is_last_try)
            run = _Run(steps, loader, source)
            if steps.position is None:
                run.refuse_header()
            chunks = read_ahead(reader.chunks(), steps.beat, source.give_up)
            with closing(chunks):
                run.whole(chunks) if options.atomic else run.by_chunk(chunks)

    def _open(self, url: str, options: FileOptions) -> Source:
        tools = self._tools
        return open_source(
            url,
            options,
            inbox=tools.inbox,
            prefixes=tools.file_prefixes,
            max_bytes=tools.file_max_bytes,
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """One run through a file, from where the last one ended."""

    steps: Steps
    loader: Loader
    source: Source

    def refuse_header(self) -> None:
        """Raise :class:`BadFile` before anything is loaded if the file has a wrong header."""
        if self.loader.reader.columns is None:
            return
        with self.steps.look() as cursor:
            words = self.loader.refuse_members(cursor)
        if words:
            raise BadFile(f"{self.source.url}: line 1: {words}")

    def by_chunk(self, chunks: Iterator[Chunk]) -> None:
        """Commit each chunk with its place."""
        for chunk in chunks:
            _through_collisions(partial(self._one, chunk))

    def whole(self, chunks: Iterator[Chunk]) -> None:
        """Commit all chunks together."""
        with self.steps.step() as step:
            counts, end, done_bytes = Counts(), START, 0
            for chunk in chunks:
                self.steps.stop_if_asked()
                counts = counts.plus(self.loader.load(chunk, step.cursor))
                end, done_bytes = chunk.end, chunk.done_bytes
                self._move(step, end, counts, done_bytes)
                self.steps.show(step.after or step.before)
            self._move(step, end, counts, done_bytes)

    def _one(self, chunk: Chunk) -> None:
        with self.steps.step() as step:
            counts = self.loader.load(chunk, step.cursor)
            self._move(step, chunk.end, counts, chunk.done_bytes)

    def _move(self, step: Step, end: Position, counts: Counts, done_bytes: int) -> None:
        self._hold_if_too_bad(step, end, counts, done_bytes)
        step.move(
            {"file": self.source.fingerprint.to_json(), "end": end.to_json()},
            counts,
            done_bytes=done_bytes,
            total_bytes=self.source.fingerprint.size_bytes,
        )

    def _hold_if_too_bad(self, step: Step, end: Position, counts: Counts, done_bytes: int) -> None:
        """Refuse a chunk with which more is bad than the target tolerates of a file.

        A share counts of all rows that the file seems to have.
        """
        most = self.loader.target.max_bad
        bad = step.before.accounts.get("quarantined", 0) + counts.quarantined
        size = self.source.fingerprint.size_bytes or 0
        rows = end.records * max(1.0, size / max(1, done_bytes))
        if too_many_bad(most, bad, int(rows)):
            words = f"job {self.loader.job_id!r} has {bad} bad rows of {end.records} so far"
            raise ChunkRefused(State.HELD, f"{words}, max_bad is {most}")


def _closed(job_id: str, refused: Refused) -> Outcome:
    """Hold the job, or let it wait, if its target is closed; raise what else was refused."""
    match decide(refused.sqlstate, refused.phase, jobs=1):
        case Decision.HOLD:
            return Outcome(job_id, State.HELD, error=str(refused))
        case Decision.BUSY:
            return Outcome(job_id, State.QUEUED, error=str(refused))
        case _:
            raise refused


def _options(payload: IngestFilePayload) -> FileOptions:
    try:
        return read_options(payload.url, payload.format, payload.options)
    except BadFile as error:
        raise BadPayload(str(error)) from error


def _reader(source: Source, options: FileOptions, kept: Any) -> Reader:
    return open_reader(source, options, _left_at(kept, source))


def _nothing() -> None:
    """Give up what ends by itself: connecting has its limits."""


def _left_at(kept: Any, source: Source) -> Position:
    """Return where the file was left; raises ``FileChanged`` if it is another one by now."""
    if kept is None:
        return START
    source.fingerprint.refuse_change(Fingerprint.from_json(kept["file"]), source.url)
    return Position.from_json(kept["end"])


def _through_collisions(load: Callable[[], None]) -> None:
    for collision in range(1, _COLLISIONS + 1):
        try:
            return load()
        except Refused as refused:
            is_collision = decide(refused.sqlstate, refused.phase, jobs=1) is Decision.AGAIN
            if not is_collision or collision == _COLLISIONS:
                raise
    return None


INGEST_FILE_KIND = IngestFile()
