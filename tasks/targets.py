"""Read which tables the catalog opens to ingest jobs, and on what terms.

``load_targets(catalog) -> dict[str, Target]`` reads ``targets.toml``. A target's
declaration becomes a :class:`Target` in :mod:`tasks.target_entries`; what needs the
database is in :mod:`tasks.fit`, the way of a row's members in :mod:`tasks.mapping`.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.target import Target
from tasks.target_entries import read_target


class BadCatalog(Exception):
    """The catalog cannot be used; the message names file, entry, value and remedy."""


def load_targets(catalog: Path) -> dict[str, Target]:
    """Return the targets of ``<catalog>/targets.toml`` by name.

    Raises :class:`BadCatalog` with every mistake in it, not only the first.
    """
    path = catalog / "targets.toml"
    targets: dict[str, Target] = {}
    mistakes: list[str] = []
    for name, declared in _read(path).items():
        target, wrong = read_target(name, declared)
        mistakes += [f"[{name}] {one}" for one in wrong]
        if target is not None:
            targets[name] = target
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


__all__ = ["BadCatalog", "Target", "load_targets"]
