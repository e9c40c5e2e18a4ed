"""Find the kinds of work: ours, and those that CELERIAC_KINDS names."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from celeriac import contract
from tasks.kind import Kind
from worker.named import load

#: Ours by task name, loaded by those who run them: a relay only has to know their queues.
_OURS: Mapping[str, str] = MappingProxyType(
    {
        contract.INGEST: "tasks.ingest:INGEST_KIND",
        contract.INGEST_FILE: "tasks.ingest_file:INGEST_FILE_KIND",
        contract.REPORT: "tasks.report:REPORT_KIND",
    }
)


class BadKind(Exception):
    """A kind that cannot be used; the message says which and why."""


def load_kinds(names: Iterable[str]) -> dict[str, Kind[Any]]:
    """Return all kinds by task name. Raises :class:`BadKind`."""
    return {name: load(place) for name, place in _OURS.items()} | _further(names)


def queues_of(names: Iterable[str]) -> dict[str, str]:
    """Return, by task name, the queue that each kind is consumed from. Raises :class:`BadKind`."""
    ours = {name: contract.QUEUES[name] for name in _OURS}
    return ours | {name: kind.queue for name, kind in _further(names).items()}


def _further(names: Iterable[str]) -> dict[str, Kind[Any]]:
    kinds: dict[str, Kind[Any]] = {}
    for name in names:
        kind = _import(name)
        if kind.name in _OURS or kind.name in kinds:
            raise BadKind(f"kind {name} has the name {kind.name!r}, which is taken")
        kinds[kind.name] = kind
    return kinds


def _import(name: str) -> Kind[Any]:
    try:
        kind = load(name)
    except (ImportError, AttributeError) as error:
        raise BadKind(f"kind {name}, named in CELERIAC_KINDS, was not found: {error}") from error
    if not isinstance(kind, Kind):
        raise BadKind(f"{name}, named in CELERIAC_KINDS, is a {type(kind).__name__}, not a Kind")
    return kind
