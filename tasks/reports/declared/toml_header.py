"""Read the TOML by which a report declares itself, and say where a mistake in it is."""

import re
import tomllib
from typing import Any

import msgspec

from tasks.reports.declared.header import Chart, Header
from tasks.reports.declared.parameter import Parameter

_PLACE = re.compile(r"\(at (?:line (\d+), column \d+|end of document)\)")


def header_of(toml: str, first_line: int) -> Header:
    """Return what the TOML declares; it begins on this line of its file."""
    try:
        declared = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(_placed(str(error), toml, first_line)) from error
    for table, type_ in (("params", Parameter), ("charts", Chart)):
        if isinstance(declared.get(table), dict):
            declared[table] = _each(table, declared[table], type_)
    return msgspec.convert(declared, Header)


def _each(table: str, entries: dict[str, Any], type_: type) -> dict[str, Any]:
    """Read the entries of a table one by one: msgspec would not say in which one a mistake is."""
    read: dict[str, Any] = {}
    for name, entry in entries.items():
        try:
            read[name] = msgspec.convert(entry, type_)
        except msgspec.ValidationError as error:
            raise ValueError(f"{table}.{name}: {error}") from error
    return read


def _placed(words: str, toml: str, first_line: int) -> str:
    """Say the line of the file, not that of the TOML inside it."""
    match = _PLACE.search(words)
    if match is None:
        return words
    within = int(match[1]) if match[1] else toml.count("\n") + 1
    return f"line {first_line + within - 1}: {words[: match.start()].strip()}"
