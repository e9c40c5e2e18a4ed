"""The names of our keys in Redis: who has reserved what.

Ours alone, never kombu's ``unacked``: a stock worker would give those back by
age. Each name starts with the deployment's prefix, as kombu's own do.

``owners``          sorted set: owner → server's time (ms) of its last renewal
``slabs:<owner>``   hash: number of a slab → the list (queue) that its messages came from
``slab:<owner>:<n>``list: messages of one slab, the oldest rightmost, as in their queue
``running:<owner>`` hash: number of a batch → JSON
                    {"alone": bool, "parts": [[slab, [position, …]], …]},
                    written when it is handed to a child, deleted when it came back;
                    a position counts from the oldest (rightmost), from 0
``suspects``        hash: SHA-1 of a message → how often its process died while it ran alone
``recovered:<owner>`` string, for an hour: ``begun`` while this owner's jobs are given back,
                    ``done`` afterwards, until the owner has forgotten what it held
``told:<owner>``    string, for an hour: number of the last settling that Redis was told
``cancelled``       sorted set: id of a job that must not start → server's time (ms) of the wish;
                    clients write it (:meth:`celeriac.Client.cancel`) and bound it by age
``nothing``         never written: what a worker waits for that must only let time pass

All after the prefix and ``celeriac:``. An owner's name ends with its lease, so that who has
another one knows how long to wait for it: ``host:4711:9f86d081:15s``.
"""

import re
from dataclasses import dataclass
from uuid import uuid4

_LEASE_OF_OWNER = re.compile(r":([0-9]+(?:\.[0-9]+)?)s\Z")


def new_owner(host: str, pid: int, lease_seconds: float) -> str:
    """Return a name that no other owner has, and that tells how long its lease is."""
    return f"{host}:{pid}:{uuid4().hex[:8]}:{lease_seconds:.10g}s"


def lease_seconds_of(owner: str) -> float | None:
    """Return how long an owner's lease is; None if its name does not tell."""
    found = _LEASE_OF_OWNER.search(owner)
    return float(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one deployment, and of one worker in it."""

    prefix: str
    owner: str

    @property
    def base(self) -> str:
        """What all our names start with."""
        return f"{self.prefix}celeriac:"

    @property
    def owners(self) -> str:
        """Sorted set of the owners by renewal."""
        return f"{self.base}owners"

    @property
    def suspects(self) -> str:
        """Hash of messages whose process died."""
        return f"{self.base}suspects"

    @property
    def slabs(self) -> str:
        """Hash of this owner's slabs."""
        return f"{self.base}slabs:{self.owner}"

    @property
    def running(self) -> str:
        """Hash of this owner's dispatched batches."""
        return f"{self.base}running:{self.owner}"

    @property
    def slab_prefix(self) -> str:
        """What the names of this owner's slabs start with."""
        return f"{self.base}slab:{self.owner}:"

    @property
    def recovered(self) -> str:
        """What tells this owner that its jobs were given back."""
        return f"{self.base}recovered:{self.owner}"

    @property
    def told(self) -> str:
        """String with the number of this owner's last settling."""
        return f"{self.base}told:{self.owner}"

    @property
    def cancelled(self) -> str:
        """Sorted set of the ids that somebody cancelled."""
        return f"{self.base}cancelled"

    @property
    def nothing(self) -> str:
        """List that is always empty."""
        return f"{self.base}nothing"

    def slab(self, number: int) -> str:
        """List of one slab's messages."""
        return f"{self.slab_prefix}{number}"
