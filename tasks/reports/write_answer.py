"""Write the answer to a request into a draft, from an open snapshot."""

from collections.abc import Callable

from postgres.snapshot import Instant
from postgres.snapshot_cursor import SnapshotCursor
from tasks.reports.answer import Answer
from tasks.reports.artifacts.draft import Draft
from tasks.reports.artifacts.manifest import Contents, contents_of
from tasks.reports.formats.formats import writer_of
from tasks.reports.request import Request
from tasks.reports.sections import refuse_excess, sections


def _tell_nobody(_rows: int) -> None:
    """Nobody waits to hear how far a small report is."""


def write_answer(
    request: Request,
    instant: Instant,
    reader: SnapshotCursor,
    draft: Draft,
    tell: Callable[[int], None] = _tell_nobody,
) -> Contents:
    """Write all of it and seal the draft, which is then only to be published.

    Raises :class:`postgres.errors.Refused`, :class:`tasks.reports.declared.header.Unanswerable`,
    :class:`tasks.stores.StoreTrouble`.
    """
    answer = Answer(request, instant, sections(request, reader), tell)
    written = writer_of(request.format)(answer, draft.file)
    contents = contents_of(instant, written, reader)
    refuse_excess(request, written)
    draft.seal()
    return contents
