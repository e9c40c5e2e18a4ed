"""Read which tables the catalog opens to ingest jobs, and on what terms."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from postgres.insert_rows import OnConflict

_TABLE = re.compile(r"(?:(?P<schema>[^.\s]+)\.)?(?P<name>[^.\s]+)")


class BadCatalog(Exception):
    """The catalog cannot be used; the message names file, entry and remedy."""


@dataclass(frozen=True, slots=True)
class Target:
    """A table that jobs may name, its key, and what a repeated key means."""

    name: str
    schema: str
    table: str
    key: tuple[str, ...]
    on_conflict: OnConflict


class _Declaration(msgspec.Struct, forbid_unknown_fields=True):
    table: str
    key: tuple[str, ...] = ()
    on_conflict: OnConflict = OnConflict.ERROR


def load_targets(catalog: Path) -> dict[str, Target]:
    """Return the targets of ``<catalog>/targets.toml`` by name.

    Raises :class:`BadCatalog` with every mistake in it, not only the first.
    """
    path = catalog / "targets.toml"
    targets: dict[str, Target] = {}
    mistakes: list[str] = []
    for name, declared in _read(path).items():
        try:
            targets[name] = _target(name, declared)
        except (msgspec.ValidationError, ValueError) as error:
            mistakes.append(f"[{name}] {error}")
    if mistakes:
        raise BadCatalog(f"{path}: " + "; ".join(mistakes))
    return targets


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadCatalog(
            f"no {path}: set CELERIAC_CATALOG to the folder that holds targets.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadCatalog(f"{path}: {error}") from error


def _target(name: str, declared: Any) -> Target:
    declaration = msgspec.convert(declared, _Declaration)
    table = _TABLE.fullmatch(declaration.table)
    if table is None:
        raise ValueError(f"table must be schema.name, got {declaration.table!r}")
    if declaration.on_conflict is not OnConflict.ERROR and not declaration.key:
        raise ValueError(
            f'on_conflict = {declaration.on_conflict.value!r} needs a key, such as key = ["id"]'
        )
    return Target(
        name, table["schema"] or "public", table["name"], declaration.key, declaration.on_conflict
    )
