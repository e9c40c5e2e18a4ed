"""What is measured: each subject by its name."""

from bench.subjects.celeriac import celeriac
from bench.subjects.floor import floor
from bench.subjects.peers import PEERS
from bench.subjects.subject import Subject

__all__ = ["Subject", "find"]


def find(name: str) -> Subject:
    """Return a subject; raise ValueError with all names that are possible."""
    subject = PEERS.get(name) or floor(name) or celeriac(name)
    if subject is None:
        possible = ", ".join(
            ("floor[_uuid7]", "celeriac[_<W>w<C>c][_uuid7][_results][_noevents]", *PEERS)
        )
        raise ValueError(f"no subject {name!r}, possible are {possible}")
    return subject
