"""Read what PostgreSQL and Redis hold once a run is over.

Shares nothing with the product: its tables and keys are read by the names that
the documentation fixes, through connections of its own.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extensions

from tests.faults.redis_state import read_results, waiting_in_redis

ACCOUNTS = ("inserted", "updated", "ignored", "superseded", "quarantined")

_TARGETS = {
    "faults_entry": "SELECT job, row, amount, NULL FROM faults.entry",
    "faults_keyed": "SELECT job, row, amount, NULL FROM faults.keyed",
    "faults_movement": "SELECT job, row, amount, account FROM faults.movement",
}
_QUARANTINE = "SELECT job_id, row_number, target, sqlstate FROM celeriac.quarantine"
_LEDGER = f"SELECT id, task, subject, state, rows, {', '.join(ACCOUNTS)} FROM celeriac.job"
_OUTBOX = "SELECT to_jsonb(o)->>'id' FROM celeriac.outbox AS o"


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """One row as a target holds it."""

    target: str
    row: int
    amount: int
    account: int | None


@dataclass(frozen=True, slots=True)
class AsideRow:
    """One row as the quarantine holds it."""

    target: str
    row: int
    sqlstate: str | None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One job as the ledger holds it."""

    id: str
    task: str
    subject: str | None
    state: str
    rows: int | None
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FinalState:
    """Everything the oracle judges by; each mapping is by job id."""

    placed: Mapping[str, list[PlacedRow]]
    aside: Mapping[str, list[AsideRow]]
    ledger: Mapping[str, list[LedgerRow]]
    balances: Mapping[int, int]
    #: Jobs that wait in the outbox or in a list of the broker.
    waiting: frozenset[str]
    results: Mapping[str, Mapping[str, Any]]


def read_final_state(
    job_ids: Collection[str], database_url: str, result_url: str, broker_url: str | None = None
) -> FinalState:
    """Read results first, then PostgreSQL in one snapshot.

    In that order a SUCCESS that was seen must be in the ledger that is read
    after it, even while workers go on.
    """
    results = read_results(job_ids, result_url)
    waiting = waiting_in_redis(broker_url) if broker_url else set()
    connection = psycopg2.connect(database_url)
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    try:
        with connection.cursor() as cursor:
            return FinalState(
                placed=_placed(cursor),
                aside=_aside(cursor),
                ledger=_ledger(cursor),
                balances=dict(_all(cursor, "SELECT id, balance FROM faults.account")),
                waiting=frozenset(waiting | _waiting_in_outbox(cursor)),
                results=results,
            )
    finally:
        connection.close()


def _all(cursor: psycopg2.extensions.cursor, query: str) -> list[Any]:
    cursor.execute(query)
    return cursor.fetchall()


def _placed(cursor: psycopg2.extensions.cursor) -> Mapping[str, list[PlacedRow]]:
    placed = defaultdict(list)
    for target, query in _TARGETS.items():
        for job, *row in _all(cursor, query):
            placed[job].append(PlacedRow(target, *row))
    return placed


def _aside(cursor: psycopg2.extensions.cursor) -> Mapping[str, list[AsideRow]]:
    aside = defaultdict(list)
    for job, row, target, sqlstate in _all(cursor, _QUARANTINE):
        aside[job].append(AsideRow(target, row, sqlstate))
    return aside


def _ledger(cursor: psycopg2.extensions.cursor) -> Mapping[str, list[LedgerRow]]:
    ledger = defaultdict(list)
    for job, task, subject, state, rows, *counts in _all(cursor, _LEDGER):
        named = {name: count or 0 for name, count in zip(ACCOUNTS, counts, strict=True)}
        ledger[job].append(LedgerRow(job, task, subject, state, rows, named))
    return ledger


def _waiting_in_outbox(cursor: psycopg2.extensions.cursor) -> set[str]:
    (found,) = _all(cursor, "SELECT to_regclass('celeriac.outbox')")
    return {job for (job,) in _all(cursor, _OUTBOX)} if found[0] else set()
