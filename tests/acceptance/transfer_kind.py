"""A kind of the tests' own, as a user writes one and names it in CELERIAC_KINDS."""

from collections.abc import Sequence

import msgspec

from celeriac.contract import State
from postgres import Cursor
from tasks.kind import BadPayload, Job, Kind, Limits, Outcome

NAME = "shop.transfer"


class Transfer(msgspec.Struct, forbid_unknown_fields=True):
    """What a transfer brings."""

    account: str
    amount: int


class TransferKind(Kind[Transfer]):
    """Write a transfer's two entries, in a batch with others."""

    name = queue = NAME
    payload = Transfer
    limits = Limits(jobs=50, rows=1000, body_bytes=1_000_000, seconds=30)

    def subject(self, payload: Transfer) -> str:
        """The account."""
        return payload.account

    def check(self, payload: Transfer) -> None:
        """Refuse what can never be transferred."""
        if payload.amount < 0:
            raise BadPayload(f"amount must not be negative, got {payload.amount}")

    def run(self, jobs: Sequence[Job[Transfer]], cursor: Cursor) -> list[Outcome]:
        """Write both entries of each."""
        for job in jobs:
            self._write(job, job.payload.amount, cursor)
            if job.payload.account == "closed":
                raise ValueError(f"account {job.payload.account!r} is closed")
            self._write(job, -job.payload.amount, cursor)
        return [
            Outcome(job.id, State.COMMITTED, result={"moved": job.payload.amount}) for job in jobs
        ]

    @staticmethod
    def _write(job: Job[Transfer], amount: int, cursor: Cursor) -> None:
        cursor.execute("INSERT INTO shop.alpha (n, note) VALUES (%s, %s)", (amount, job.id))


KIND = TransferKind()
