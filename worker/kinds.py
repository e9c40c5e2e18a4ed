"""Find the kinds of work: ours, and those that CELERIAC_KINDS names."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from tasks.ingest import INGEST_KIND
from tasks.ingest_file import INGEST_FILE_KIND
from tasks.kind import Kind
from tasks.report import REPORT_KIND


class BadKind(Exception):
    """A kind that cannot be used; the message says which and why."""


def load_kinds(names: Iterable[str]) -> dict[str, Kind[Any]]:
    """Return all kinds by task name. Raises :class:`BadKind`."""
    ours = (INGEST_KIND, INGEST_FILE_KIND, REPORT_KIND)
    kinds: dict[str, Kind[Any]] = {kind.name: kind for kind in ours}
    for name in names:
        kind = _import(name)
        if kind.name in kinds:
            raise BadKind(f"kind {name} has the name {kind.name!r}, which is taken")
        kinds[kind.name] = kind
    return kinds


def queues_of(kinds: Mapping[str, Kind[Any]]) -> dict[str, str]:
    """Return, by task name, the queue that each kind is consumed from."""
    return {name: kind.queue for name, kind in kinds.items()}


def _import(name: str) -> Kind[Any]:
    module, _, attribute = name.partition(":")
    try:
        kind = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BadKind(f"kind {name}, named in CELERIAC_KINDS, was not found: {error}") from error
    if not isinstance(kind, Kind):
        raise BadKind(f"{name}, named in CELERIAC_KINDS, is a {type(kind).__name__}, not a Kind")
    return kind
