"""Cut the query of a report into its statements, each named by a line comment above it.

``-- name: by_carrier`` begins a statement when it stands alone on its line, outside of strings
and other comments; a query without such a line is one statement.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from postgres.parameters import BadQuery, pieces, says_something, single, source

#: Names become the sheets of workbooks, which take no longer ones, and not this one.
MOST_NAME_CHARACTERS = 31
_RESERVED = "history"

_MARK = re.compile(r"--[ \t]*name[ \t]*:[ \t]*(?P<name>.*?)[ \t]*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class NamedQuery(NamedTuple):
    """One statement, and the line of its file on which it begins."""

    name: str
    query: str
    line: int


class _Mark(NamedTuple):
    name: str
    start: int
    end: int


def cut(text: str, line: int, name: str) -> list[NamedQuery]:
    """Return the statements of a query that begins on this line; the name is for a lone one.

    Raises :class:`BadQuery` with the line of the mistake.
    """
    try:
        marks = list(_marks(text))
    except BadQuery as error:
        where = line + text.count("\n", 0, error.at or 0)
        raise BadQuery(f"line {where}: {error}") from error
    if not marks:
        return [_named(short(name), text, line)]
    _check_names(marks, text, line)
    ends = [mark.start for mark in marks[1:]] + [len(text)]
    return [
        _named(mark.name, text[mark.end : end], line + text.count("\n", 0, mark.end))
        for mark, end in zip(marks, ends, strict=True)
    ]


def short(name: str) -> str:
    """Return the name of a report as that of its one statement."""
    return "report" if name == _RESERVED else name[:MOST_NAME_CHARACTERS]


def _marks(text: str) -> Iterator[_Mark]:
    at = 0
    for piece in pieces(text):
        start, at = at, at + len(source(piece))
        match = _MARK.fullmatch(piece.text) if piece.text.startswith("--") else None
        if match and not text[text.rfind("\n", 0, start) + 1 : start].strip():
            yield _Mark(match["name"], start, at)


def _check_names(marks: list[_Mark], text: str, line: int) -> None:
    if any(map(says_something, pieces(text[: marks[0].start]))):
        raise BadQuery(f"line {line}: the first statement needs a name too, -- name: ... above it")
    seen = set()
    for mark in marks:
        where = f"line {line + text.count(chr(10), 0, mark.start)}"
        if not _NAME.fullmatch(mark.name) or len(mark.name) > MOST_NAME_CHARACTERS:
            raise BadQuery(
                f"{where}: a statement's name must be a-z, 0-9 and _, begin with a letter and have"
                f" at most {MOST_NAME_CHARACTERS} characters, got {mark.name!r}"
            )
        if mark.name == _RESERVED:
            raise BadQuery(f"{where}: no sheet of a workbook may be named {_RESERVED!r}")
        if mark.name in seen:
            raise BadQuery(f"{where}: a second statement is named {mark.name!r}")
        seen.add(mark.name)


def _named(name: str, text: str, line: int) -> NamedQuery:
    try:
        spoken = single(text)
    except BadQuery as error:
        hint = "; name each by a line -- name: ... above it" if "statement" in str(error) else ""
        raise BadQuery(f"line {line}, {name}: {error}{hint}") from None
    return NamedQuery(name, spoken.text, line + text.count("\n", 0, spoken.start))
