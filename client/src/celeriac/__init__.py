"""Celeriac's client: enqueue ingest and report jobs, ask how they ended."""

from celeriac.client import Client
from celeriac.contract import State
from celeriac.errors import (
    BadPayload,
    BadSetting,
    BrokerUnavailable,
    CeleriacError,
    JobCancelled,
    JobFailed,
    NotTracked,
    ResultsElsewhere,
    WaitTimeout,
)
from celeriac.ticket import Ticket

__all__ = [
    "BadPayload",
    "BadSetting",
    "BrokerUnavailable",
    "CeleriacError",
    "Client",
    "JobCancelled",
    "JobFailed",
    "NotTracked",
    "ResultsElsewhere",
    "State",
    "Ticket",
    "WaitTimeout",
]
