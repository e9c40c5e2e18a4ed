"""Find the ``:name`` parameters of a query, and put typed literals in their place.

COPY takes no bound values, so a report's parameters travel inside its text.
This scanner decides where; quoting a value is the driver's work. It reads
SQL as PostgreSQL's own lexer does with ``standard_conforming_strings`` on.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum, StrEnum
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple


class ValueType(StrEnum):
    """The types that a parameter may have, by their names in PostgreSQL."""

    TEXT = "text"
    INT = "int"
    BIGINT = "bigint"
    NUMERIC = "numeric"
    DATE = "date"
    TIMESTAMPTZ = "timestamptz"
    BOOL = "bool"
    UUID = "uuid"


class Value(NamedTuple):
    """The value of a parameter as PostgreSQL reads it; without text it is NULL.

    An array has the texts of its elements beside its own.
    """

    type: ValueType
    text: str | None
    is_array: bool = False
    elements: tuple[str, ...] = ()

    @property
    def type_name(self) -> str:
        """The type as a cast names it; part of an enumeration, never of what somebody sent."""
        return f"{self.type.value}[]" if self.is_array else self.type.value


class BadQuery(ValueError):
    """A query text that cannot carry parameters safely; ``at`` is where, if one place is."""

    def __init__(self, words: str, at: int | None = None) -> None:
        super().__init__(words)
        self.at = at


class Role(Enum):
    """What a piece of a query is to whoever fills it."""

    TEXT = "text"
    PARAMETER = "parameter"
    END = "end"


class Piece(NamedTuple):
    """A run of query text; for a parameter, its name."""

    role: Role
    text: str


class Spoken(NamedTuple):
    """A statement of a longer text, and where in it the statement starts."""

    text: str
    start: int


_COMMENT_EDGE = re.compile(r"/\*|\*/")

# An E'' string goes on in its own mode after a line break and another quote.
_GOES_ON = r"(?:[ \t\f\v]|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*+[\n\r])*+"
_E_BODY = r"'(?:[^'\\]|\\.|'')*+'"
# Letters, _ and all beyond ASCII, told by what they are not: of a range beyond ASCII Python
# makes a large table at each mention, and every start of a process would wait for it.
_FIRST = r"[^\x00-@\[-\^`{-\x7f]"
_WORD = r"[^\x00-/:-@\[-\^`{-\x7f]"
_TOKEN = re.compile(
    rf"""
      (?P<text>
        [ \t\n\r\f\v]+
      | --[^\n\r]*
      | [eE]{_E_BODY}(?:{_GOES_ON}{_E_BODY})*
      | '(?:[^']|'')*+'
      | "(?:[^"]|"")*+"
      | \$(?P<tag>(?:{_FIRST}{_WORD}*)?)\$.*?\$(?P=tag)\$
      )
    | (?P<open>[eE]?'|"|\$(?:{_FIRST}{_WORD}*)?\$)
    | (?P<word>{_FIRST}(?:{_WORD}|\$)*|\d(?:{_WORD}|\.)*|::|:=)
    | :(?P<parameter>{_FIRST}{_WORD}*)
    | (?P<end>;)
    | (?P<comment>/\*)
    | (?P<other>.)
    """,
    re.DOTALL | re.VERBOSE,
)


def pieces(query: str) -> Iterator[Piece]:
    """Cut a query into text, parameters and statement ends; casts and all quoting are text."""
    at = 0
    while match := _TOKEN.match(query, at):
        at = match.end()
        if match["open"]:
            # Any guess at where the quote ends could let a value out of its own.
            raise BadQuery(f"a {match['open']} is opened and never closed", match.start())
        if match["comment"]:
            at = _comment_end(query, match.start())
            yield Piece(Role.TEXT, query[match.start() : at])
        elif match["parameter"]:
            yield Piece(Role.PARAMETER, match["parameter"])
        else:
            yield Piece(Role.END if match["end"] else Role.TEXT, match[0])


def names(query: str) -> set[str]:
    """Name every parameter that the query uses."""
    return {piece.text for piece in pieces(query) if piece.role is Role.PARAMETER}


def single(query: str) -> Spoken:
    """Return the one statement of a query, without its semicolon, or raise :class:`BadQuery`."""
    statements: list[list[Piece]] = [[]]
    starts, at = [0], 0
    for piece in pieces(query):
        at += len(source(piece))
        if piece.role is Role.END:
            statements.append([])
            starts.append(at)
        else:
            statements[-1].append(piece)
    spoken = [place for place, said in enumerate(statements) if any(map(says_something, said))]
    if len(spoken) != 1:
        raise BadQuery(f"expected one statement, got {len(spoken)}")
    text = "".join(map(source, statements[spoken[0]]))
    return Spoken(text.strip(), starts[spoken[0]] + len(text) - len(text.lstrip()))


def fill(query: str, literals: Mapping[str, str]) -> str:
    """Put a literal, already quoted, in the place of each parameter."""
    return "".join(
        _literal(piece.text, literals) if piece.role is Role.PARAMETER else piece.text
        for piece in _cut(query)
    )


@lru_cache(maxsize=128)
def _cut(query: str) -> tuple[Piece, ...]:
    """Cut a query at its parameters alone; the same queries come again and again."""
    cut: list[Piece] = []
    for role, run in groupby(pieces(query), attrgetter("role")):
        if role is Role.PARAMETER:
            cut += run
        else:
            cut.append(Piece(role, "".join(piece.text for piece in run)))
    return tuple(cut)


def _literal(name: str, literals: Mapping[str, str]) -> str:
    if name not in literals:
        raise BadQuery(f"parameter :{name} has no value")
    # Parentheses keep the literal apart from an E, or an E'' string, before it:
    # joined to one, its backslashes would become escapes and its quotes could end it.
    return f"({literals[name]})"


def source(piece: Piece) -> str:
    """Return a piece as it stands in its query."""
    return f":{piece.text}" if piece.role is Role.PARAMETER else piece.text


def says_something(piece: Piece) -> bool:
    """Tell whether a piece is more than space or a comment."""
    return not (piece.text.isspace() or piece.text.startswith(("--", "/*")))


def _comment_end(query: str, start: int) -> int:
    """Find where a comment ends; PostgreSQL nests them."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(query, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise BadQuery("a /* is opened and never closed", start)
