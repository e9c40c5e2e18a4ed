"""A kind of work that is no plain insert: move goods in and out of a stock.

``on_hand + change`` must happen once and not twice. The kind does nothing for
that: the job's row in the ledger is in the same transaction.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from celeriac.contract import State
from postgres import Cursor
from tasks.kind import BadPayload, Job, Kind, Limits, Outcome

MOVE_STOCK = Path(__file__).with_name("move_stock.sql").read_text(encoding="utf-8")


class StockMove(msgspec.Struct, forbid_unknown_fields=True):
    """The task's arguments: what moves, and by how many pieces."""

    sku: str
    change: int


class MoveStock(Kind[StockMove]):
    """Change how much of an article is there; never below zero."""

    name = "shop.move_stock"
    queue = "shop.move_stock"
    payload = StockMove
    limits = Limits(jobs=200, rows=200, body_bytes=1024 * 1024, seconds=60)

    def subject(self, payload: StockMove) -> str:
        """The article, in words that no target has."""
        return f"stock of {payload.sku}"

    def check(self, payload: StockMove) -> None:
        """Refuse a move that moves nothing."""
        if payload.change == 0:
            raise BadPayload("change must not be 0")

    def run(self, jobs: Sequence[Job[StockMove]], cursor: Cursor) -> list[Outcome]:
        """Move article by article, in the same order as every other batch: no deadlock."""
        in_order = sorted(jobs, key=lambda job: job.payload.sku)
        return [_move(job, cursor) for job in in_order]


def _move(job: Job[StockMove], cursor: Cursor) -> Outcome:
    move = job.payload
    cursor.execute(MOVE_STOCK, {"sku": move.sku, "change": move.change})
    found = cursor.fetchone()
    if found is None:
        return Outcome(job.id, State.DEAD, error=f"sku {move.sku!r} is not in shop.stock")
    return Outcome(job.id, State.COMMITTED, result={"sku": move.sku, "on_hand": found[0]})


KIND = MoveStock()
