"""Find the ``:name`` parameters of a query, and put typed literals in their place.

COPY takes no bound values, so a report's parameters travel inside its text.
This scanner decides where; quoting a value is the driver's work. It reads
SQL as PostgreSQL's own lexer does with ``standard_conforming_strings`` on.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum, StrEnum
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
    """The value of a parameter as PostgreSQL reads it; without text it is NULL."""

    type: ValueType
    text: str | None


class BadQuery(ValueError):
    """A query text that cannot carry parameters safely."""


class Role(Enum):
    """What a piece of a query is to whoever fills it."""

    TEXT = "text"
    PARAMETER = "parameter"
    END = "end"


class Piece(NamedTuple):
    """A run of query text; for a parameter, its name."""

    role: Role
    text: str


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
            raise BadQuery(f"a {match['open']} is opened and never closed")
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


def single(query: str) -> str:
    """Return the one statement of a query, without its semicolon, or raise :class:`BadQuery`."""
    statements: list[list[Piece]] = [[]]
    for piece in pieces(query):
        if piece.role is Role.END:
            statements.append([])
        else:
            statements[-1].append(piece)
    spoken = [statement for statement in statements if any(map(_says_something, statement))]
    if len(spoken) != 1:
        raise BadQuery(f"the file must hold one statement, got {len(spoken)}")
    return "".join(map(_source, spoken[0]))


def fill(query: str, literals: Mapping[str, str]) -> str:
    """Put a literal, already quoted, in the place of each parameter."""
    return "".join(
        _literal(piece.text, literals) if piece.role is Role.PARAMETER else piece.text
        for piece in pieces(query)
    )


def _literal(name: str, literals: Mapping[str, str]) -> str:
    if name not in literals:
        raise BadQuery(f"parameter :{name} has no value")
    # Parentheses keep the literal apart from an E, or an E'' string, before it:
    # joined to one, its backslashes would become escapes and its quotes could end it.
    return f"({literals[name]})"


def _source(piece: Piece) -> str:
    return f":{piece.text}" if piece.role is Role.PARAMETER else piece.text


def _says_something(piece: Piece) -> bool:
    return not (piece.text.isspace() or piece.text.startswith(("--", "/*")))


def _comment_end(query: str, start: int) -> int:
    """Find where a comment ends; PostgreSQL nests them."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(query, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise BadQuery("a /* is opened and never closed")
