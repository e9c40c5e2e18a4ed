"""Lay out what the commands say: tables, times, rows, with nothing that steers a terminal."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

#: Longest text of a table's cell, of its last one, which has the end of the line, and of a value.
CELL_CHARACTERS = 60
LAST_CELL_CHARACTERS = 200
VALUE_CHARACTERS = 200


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield aligned lines, the headers first; numbers stand to the right."""
    texts = [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *texts, strict=True)]
    to_right = [
        bool(rows) and all(isinstance(row[place], int) for row in rows)
        for place in range(len(headers))
    ]
    for line in [list(headers), *texts]:
        cells = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, to_right, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def facts(pairs: Sequence[tuple[str, object]]) -> Iterator[str]:
    """Yield indented lines of a name and a value each, without those that have no value."""
    known = [(name, value) for name, value in pairs if value is not None and value != ""]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        yield f"  {name.ljust(width)}  {_plain(value)}"


def pretty_row(text: str, guilty: str | None, *, whole: bool = False) -> Iterator[str]:
    """Yield a row column by column, the guilty one marked; long values are cut unless ``whole``."""
    try:
        columns = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        yield f"    {_shortened(text, whole=whole)}"
        return
    width = max((len(name) for name in columns), default=0)
    for name, raw in columns.items():
        mark = ">" if name == guilty else " "
        value = bytes(raw).decode("utf-8", "backslashreplace")
        yield f"  {mark} {printable(name).ljust(width)}  {_shortened(value, whole=whole)}"


def printable(text: str) -> str:
    """Write what is no printable character as an escape: foreign text must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def clipped(text: str, most_characters: int = CELL_CHARACTERS) -> str:
    """Return at most so many characters, the last one saying that there were more."""
    return text if len(text) <= most_characters else f"{text[: most_characters - 1]}…"


def moment(at: datetime | None) -> str:
    """Write a time in UTC, to the second."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}Z"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: ``1 row``, ``1,234 rows``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _cells(row: Sequence[object]) -> list[str]:
    *cells, last = map(_plain, row)
    return [*map(clipped, cells), clipped(last, LAST_CELL_CHARACTERS)]


def _plain(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moment(value)
    return printable(str(value))


def _shortened(text: str, *, whole: bool) -> str:
    text = printable(text)
    if whole or len(text) <= VALUE_CHARACTERS:
        return text
    return f"{text[:VALUE_CHARACTERS]}… ({len(text):,} characters, all of them with --whole)"
