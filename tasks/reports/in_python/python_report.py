"""Answer a report that is a function in Python, ``reports/<name>.py`` of the catalog.

Loaded late: pandas and Altair take longer to load than all the rest of a worker. Runs in a
child, which reads the file at its first use and keeps it until it ends.
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import altair as alt
import pandas as pd

from postgres.snapshot_cursor import SnapshotCursor
from tasks.reports.answer import Picture, Rows, Section, Text
from tasks.reports.declared.header import Unanswerable
from tasks.reports.declared.read_python import FUNCTION
from tasks.reports.formats.theme import render
from tasks.reports.in_python.frames import FrameSource
from tasks.reports.in_python.in_time import in_time
from tasks.reports.in_python.reader import Reader
from tasks.reports.request import Request
from tasks.reports.values import meaning

#: Whose handler of signals raises SystemExit, wherever the report is just then.
_POOL = "billiard.common"
#: So that a query under way is ended by the server, which says so.
_GRACE_SECONDS = 1.0
_ALLOWED = "a DataFrame, a chart of Altair, text, or a dict or list of those"


class BrokenReport(Unanswerable):
    """A report in Python that raised, or gave what is no answer."""


def sections(request: Request, reader: SnapshotCursor) -> Iterator[Section]:
    """Yield what the report's function returns, all of it read from the snapshot of the reader.

    Raises :class:`BrokenReport` with the file's line for whatever the file
    raised, and :class:`Refused` where PostgreSQL refused one of its reads.
    """
    path = request.report.path
    read = Reader(reader, request.values)
    params = {name: meaning(value) for name, value in request.values.items()}
    try:
        with _beside(path):
            function = _function(path)
            with in_time(max(0.0, reader.left_seconds) + _GRACE_SECONDS):
                given = function(read, **params)
            found = [_section(*named, path) for named in _named(request.report.name, given)]
    except (Exception, SystemExit) as error:
        _raise_end_of_the_process(error)
        # Its snapshot is lost with its first refused read, whatever the file made of that.
        if read.refused is not None:
            raise read.refused from error
        raise _broken(path, error) from error
    if read.refused is not None:
        raise read.refused
    yield from found


def load(path: Path) -> None:
    """Run the file, and ask it nothing; raises :class:`BrokenReport` for what it raises."""
    try:
        with _beside(path):
            _function(path)
    except (Exception, SystemExit) as error:
        raise _broken(path, error) from error


def _raise_end_of_the_process(error: BaseException) -> None:
    """Raise again what a signal raised to end the process, however it looks by now.

    That is no answer of the report's: it runs again, elsewhere.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, SystemExit) and _is_of_the_pool(link):
            raise link
        link = link.__context__


def _is_of_the_pool(error: SystemExit) -> bool:
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_globals.get("__name__") == _POOL for frame in frames)


@cache
def _function(path: Path) -> Callable[..., Any]:
    """Run the file as a module of its own, and return its function."""
    module = ModuleType(f"celeriac_report_{path.stem}")
    module.__file__ = str(path)
    # Dataclasses look their module up by its name.
    sys.modules[module.__name__] = module
    # Not imported: that would leave compiled files in a folder that is not ours.
    exec(compile(path.read_bytes(), str(path), "exec"), vars(module))  # noqa: S102 - its purpose
    function: Callable[..., Any] = getattr(module, FUNCTION)
    return function


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let the file import its neighbours, after all that is installed, and itself as no report."""
    folder = str(path.parent)
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _named(name: str, given: Any) -> Iterator[tuple[str, Any]]:
    """Name each part of an answer: a dict does, the parts of a list are counted."""
    if isinstance(given, Mapping):
        yield from ((str(key), part) for key, part in given.items())
    elif isinstance(given, list | tuple):
        yield from ((f"{name} {at}", part) for at, part in enumerate(given, 1))
    else:
        yield name, given


def _section(name: str, part: Any, path: Path) -> Section:
    # Half a character can be in a text of Python's and in no file.
    name.encode()
    if isinstance(part, pd.Series):
        part = part.to_frame()
    if isinstance(part, pd.DataFrame):
        return Rows(name, FrameSource(part))
    if isinstance(part, alt.TopLevelMixin):
        return _picture(name, part)
    if isinstance(part, str):
        part.encode()
        return Text(name, part)
    kind = type(part).__name__
    raise BrokenReport(f"{path.name}: {FUNCTION} must return {_ALLOWED}, got {kind} for {name!r}")


def _picture(name: str, chart: alt.TopLevelMixin) -> Picture:
    drawn = chart.to_dict()
    title = drawn.get("title", "")
    words = title if isinstance(title, str) else str(title.get("text", ""))
    words = drawn.get("description", "") or words
    return Picture(name, render(drawn, name, words), words)


def _broken(path: Path, error: BaseException) -> BrokenReport:
    """Say what was raised, and where in the file."""
    if isinstance(error, BrokenReport):
        return error
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    where = path.name if line is None else f"{path.name}, line {line}"
    return BrokenReport(f"{where}: {type(error).__name__}: {error}")
