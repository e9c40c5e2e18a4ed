"""Say where in its file a mistake of a declaration is, and what would be right."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tasks.reports.declared.header import CHARTS, Format
from tasks.reports.declared.schedule import Missed, TickAs

#: The place that msgspec names behind its words: `$.chart.kind`.
_MEMBER = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_OBJECT = re.compile(r"\bObject (?:contains )?")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
#: What our own words begin with: the entry that they are about.
_ENTRY = re.compile(r"(?P<path>(?:params|charts)\.\w+|[a-z_]+)\b")
_TABLE = re.compile(r"[ \t]*\[+[ \t]*(?P<path>[^\]]+?)[ \t]*\]")
_KEY = re.compile(r"[ \t]*(?P<path>[\w.\" -]+?)[ \t]*=")
_PLACED = re.compile(r"line \d+")

#: By the last word of its place, what an entry may say.
_ALLOWED: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "format": tuple(Format),
        "kind": CHARTS,
        "missed": tuple(Missed),
        "tick_params": tuple(TickAs),
    }
)


def placed(words: str, text: str) -> str:
    """Return what is wrong with a file of this text, with the line that it is about."""
    if _PLACED.match(words):
        return words
    entry, member = _ENTRY.match(words), _MEMBER.search(words)
    path = _path(entry["path"]) if entry else []
    if member is not None:
        # Words of msgspec's, perhaps behind the table that they are about.
        table = path if entry and words[entry.end() :].startswith(": ") else []
        path = [*table, *_path(member["path"])]
        words = _told(words[entry.end() + 2 if entry and table else 0 : member.start()], path)
    unknown = _UNKNOWN.search(words)
    line = _line([*path, unknown["name"]] if unknown else path, _head(text))
    return f"line {line}: {_OBJECT.sub('', words)}"


def _told(words: str, path: Sequence[str]) -> str:
    """Word anew what msgspec says of an entry."""
    name = ".".join(path)
    allowed = next((_ALLOWED[one] for one in reversed(path) if one in _ALLOWED), ())
    if words.startswith("Invalid enum value ") and allowed:
        return f"{name} must be one of {', '.join(allowed)}, got {words.split(' value ')[1]}"
    said = _OBJECT.sub("", words)
    return words if words.startswith(name) else f"{name}: {said[:1].lower()}{said[1:]}"


def _path(text: str) -> list[str]:
    return [part.strip(' "') for part in re.sub(r"\[[^\]]*\]", "", text).split(".") if part]


def _head(text: str) -> list[str]:
    """Return the lines of the declaration: what follows may have words like its."""
    opening = re.search(r"\"\"\"|'''|/\*", text)
    if opening is None:
        return text.splitlines()[:1]
    closing = "*/" if opening[0] == "/*" else opening[0]
    end = text.find(closing, opening.end())
    return text[: end if end >= 0 else len(text)].splitlines()


def _line(path: Sequence[str], lines: Sequence[str]) -> int:
    """Return the line that says the most of a path; the declaration's first if none does."""
    first = next((at for at, one in enumerate(lines) if re.search(r"\bceleriac\b", one)), 0)
    best, best_at, table = 0, first, list[str]()
    for at, one in enumerate(lines[first:], first):
        if header := _TABLE.match(one):
            here = table = _path(header["path"])
        elif key := _KEY.match(one):
            here = [*table, *_path(key["path"])]
        else:
            continue
        if len(here) > best and here == list(path[: len(here)]):
            best, best_at = len(here), at
    return best_at + 1
