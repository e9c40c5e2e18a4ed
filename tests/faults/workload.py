"""Invent the jobs of a fault run: the same seed gives the same jobs, ids included."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.faults.sent import SentJob, SentRow

TASK = "celeriac.ingest"
TARGETS = ("faults_entry", "faults_keyed", "faults_movement")
ACCOUNTS = 16
#: What stands in a bad row where an integer belongs.
BAD_AMOUNT = "x"


@dataclass(frozen=True, slots=True)
class Workload:
    """How many jobs of which size, and how much of them is bad on purpose."""

    seed: int
    jobs: int
    fewest_rows: int
    most_rows: int
    bad_share: float = 0.02
    wants_result: bool = False

    def __iter__(self) -> Iterator[SentJob]:
        random = Random(self.seed)
        return (self._job(random) for _ in range(self.jobs))

    def _job(self, random: Random) -> SentJob:
        job_id = str(uuid.UUID(int=random.getrandbits(128), version=4))
        target = random.choice(TARGETS)
        count = random.randint(self.fewest_rows, self.most_rows)
        rows = tuple(self._row(number, target, random) for number in range(1, count + 1))
        digest = payload_hash(payload(job_id, target, rows))
        return SentJob(job_id, TASK, target, rows, digest, self.wants_result)

    def _row(self, number: int, target: str, random: Random) -> SentRow:
        amount = random.randint(-1000, 1000)
        account = random.randint(1, ACCOUNTS) if target == "faults_movement" else None
        is_bad = random.random() < self.bad_share
        return SentRow(number, None if is_bad else amount, account)


def payload(job_id: str, target: str, rows: tuple[SentRow, ...]) -> dict[str, Any]:
    """Return the keyword arguments of the task."""
    return {"target": target, "rows": [_columns(job_id, target, row) for row in rows]}


def payload_hash(kwargs: dict[str, Any]) -> str:
    """Return a digest by which two sends of one id can be told apart."""
    return hashlib.sha256(json.dumps(kwargs, sort_keys=True).encode()).hexdigest()


def _columns(job_id: str, target: str, row: SentRow) -> dict[str, Any]:
    amount = BAD_AMOUNT if row.amount is None else row.amount
    columns = {"job": job_id, "row": row.row, "amount": amount}
    if target == "faults_entry":
        columns["note"] = f"row {row.row}"
    if target == "faults_movement":
        columns["account"] = row.account
    return columns
