"""Write rows as a table of a page: widths that suit them, numbers at the right, NULL in words."""

import unicodedata
from collections.abc import Mapping, Sequence
from html import escape
from itertools import chain

from postgres.snapshot import Column
from tasks.reports.answer import TextRow

#: A value is shown up to here, and says how much longer it is.
MAX_CELL_CHARACTERS = 500
#: A table of more columns is printed on pages that lie on their side.
MANY_COLUMNS = 8

_MOST_WIDTH = 48
_LEAST_WIDTH = 3
_PADDING_WIDTH = 4
_BOOL = 16
_TRUTHS: Mapping[str | None, str] = {"t": "true", "f": "false"}
_WIDE_LETTERS = frozenset("FW")


def table(columns: Sequence[Column], rows: Sequence[TextRow]) -> str:
    """Return the table, in classes that :func:`alignment` speaks of; all text is escaped."""
    widths = [_width(column, at, rows) for at, column in enumerate(columns)]
    # The widths are ours: to lay out thousands of rows a browser would measure them all.
    cols = "".join(f'<col style="width:{100 * width / sum(widths):.2f}%">' for width in widths)
    head = "".join(f'<th scope="col">{_heading(column.name)}</th>' for column in columns)
    body = "\n".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in _spoken(columns, rows))
    right = " ".join(f"n{at}" for at in number_places(columns))
    return (
        f'<table class="{right}" style="--width:{sum(widths)}ch"><colgroup>{cols}</colgroup>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    )


def number_places(columns: Sequence[Column]) -> list[int]:
    """Count, from 1, to the columns that hold numbers."""
    return [at for at, column in enumerate(columns, 1) if column.is_number]


def alignment(places: set[int]) -> str:
    """Return the rules that line up those columns at their right.

    A rule for a column is shorter than a class for each of its cells.
    """
    return "".join(
        f".n{at} tr > :nth-child({at}) {{ text-align: right; }}\n" for at in sorted(places)
    )


def cell(text: str | None, tag: str = "td") -> str:
    """Return a value; NULL is a word in another style, an empty text a mark that is no text."""
    if text is None:
        return f'<{tag} class="null">null</{tag}>'
    if not text:
        return f'<{tag} class="empty"></{tag}>'
    if len(text) > MAX_CELL_CHARACTERS:
        shown = escape(text[:MAX_CELL_CHARACTERS])
        words = f"the first {MAX_CELL_CHARACTERS:,} of {len(text):,} characters"
        return f'<{tag}>{shown}… <span class="cut">({words})</span></{tag}>'
    return f"<{tag}>{escape(text, quote=False)}</{tag}>"


def _spoken(columns: Sequence[Column], rows: Sequence[TextRow]) -> Sequence[TextRow]:
    """Write true and false out, which PostgreSQL shortens to a letter."""
    truths = {at for at, column in enumerate(columns) if column.type_oid == _BOOL}
    if not truths:
        return rows
    return [
        tuple(_TRUTHS.get(text, text) if at in truths else text for at, text in enumerate(row))
        for row in rows
    ]


def _heading(name: str) -> str:
    """Let the name of a column break after its underscores."""
    return escape(name).replace("_", "_<wbr>")


def _width(column: Column, at: int, rows: Sequence[TextRow]) -> int:
    """Return a column's width in digits: that of its longest line, within reason."""
    lines = chain.from_iterable((row[at] or "null").splitlines() for row in rows)
    values = max(map(_letters, lines), default=0)
    values = max(values, len("false")) if column.type_oid == _BOOL else values
    parts = max(map(_letters, column.name.replace("_", "_ ").split()), default=0)
    # A heading in bold is wider than its digits, and may take two lines.
    heading = max(parts, _letters(column.name) // 2) * 9 // 8 + 1
    return min(max(values, heading, _LEAST_WIDTH), _MOST_WIDTH) + _PADDING_WIDTH


def _letters(line: str) -> int:
    """Count the letters of a line, as far as it matters; those of East Asia are two wide."""
    line = line[:_MOST_WIDTH]
    if line.isascii():
        return len(line)
    return len(line) + sum(unicodedata.east_asian_width(one) in _WIDE_LETTERS for one in line)
