"""Celeriac's client: enqueue ingest and report jobs, ask how they ended.

What needs redis-py is imported when it is first asked for: a program that
imports this, and a worker that needs the contract alone, pay nothing for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from celeriac.contract import State
from celeriac.errors import (
    BadPayload,
    BadSetting,
    BrokerUnavailable,
    BulkUnfinished,
    CeleriacError,
    DownloadFailed,
    JobCancelled,
    JobFailed,
    NotTracked,
    QueueFull,
    ResultsElsewhere,
    WaitTimeout,
)

if TYPE_CHECKING:
    from celeriac.async_client import AsyncClient
    from celeriac.bulk import Summary
    from celeriac.cancel import Cancellation
    from celeriac.client import Client
    from celeriac.group import AsyncGroup, Group
    from celeriac.in_transaction import AsyncOutbox, Outbox, outbox
    from celeriac.queues import Depth
    from celeriac.ticket import AsyncTicket, Ticket

_PLACES = {
    "AsyncClient": "celeriac.async_client",
    "AsyncGroup": "celeriac.group",
    "AsyncOutbox": "celeriac.in_transaction",
    "AsyncTicket": "celeriac.ticket",
    "Cancellation": "celeriac.cancel",
    "Client": "celeriac.client",
    "Depth": "celeriac.queues",
    "Group": "celeriac.group",
    "Outbox": "celeriac.in_transaction",
    "Summary": "celeriac.bulk",
    "Ticket": "celeriac.ticket",
    "outbox": "celeriac.in_transaction",
}

__all__ = [
    "AsyncClient",
    "AsyncGroup",
    "AsyncOutbox",
    "AsyncTicket",
    "BadPayload",
    "BadSetting",
    "BrokerUnavailable",
    "BulkUnfinished",
    "Cancellation",
    "CeleriacError",
    "Client",
    "Depth",
    "DownloadFailed",
    "Group",
    "JobCancelled",
    "JobFailed",
    "NotTracked",
    "Outbox",
    "QueueFull",
    "ResultsElsewhere",
    "State",
    "Summary",
    "Ticket",
    "WaitTimeout",
    "outbox",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    # Kept, so that this is asked once.
    globals()[name] = found
    return found
