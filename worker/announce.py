"""Tell Flower about plain jobs what Celery's requests tell about themselves.

Event by event and field by field the same, so that nobody who listens can
tell by which way a job went through the worker.
"""

import json
from typing import Any

from worker.delivery import Fate, Settlement
from worker.preview import preview_of_body
from worker.results import result_text
from worker.waiting import Waiting


def ending(settlement: Settlement, seconds: float) -> tuple[str, dict[str, Any]] | None:
    """Return type and fields of the event that ends a job's story; None for none."""
    match settlement.fate:
        case Fate.COMMITTED:
            result = json.dumps(settlement.result)
            return "task-succeeded", {"result": result, "runtime": seconds}
        case Fate.DEAD:
            return "task-failed", {"exception": settlement.error, "traceback": ""}
        case Fate.CANCELLED:
            expired = (settlement.error or "").startswith("expired")
            return "task-revoked", {"terminated": False, "signum": None, "expired": expired}
        case Fate.HELD:
            return "task-retried", {"exception": f"held: {settlement.error}", "traceback": ""}
        case _:
            # A conflict's id belongs to the first job, which stays what it is.
            return None


class Announcer:
    """Sends the events of plain jobs, over whatever connection its consumer has."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def received(self, one: Waiting) -> None:
        """Say that the job is here, and what it is about."""
        if not self._is_heard:
            return
        preview = preview_of_body(self._consumer.app.tasks[one.task].kind, one.body)
        self._send(
            "task-received",
            one,
            name=one.task,
            args=preview.text,
            kwargs="",
            # What has a parent, an ETA or a retry behind it is no plain job.
            root_id=one.id,
            parent_id=None,
            retries=0,
            eta=None,
            expires=None,
        )

    def started(self, one: Waiting) -> None:
        """Say that a child has begun with the job's batch."""
        self._send("task-started", one)

    def progressed(self, one: Waiting, text: str) -> None:
        """Say how far a long job is."""
        self._send("task-progress", one, result=text)

    def committed(self, one: Waiting, rows: int, seconds: float) -> None:
        """Say that the job committed with all its rows inserted."""
        self._send("task-succeeded", one, result=result_text(rows), runtime=seconds)

    def settled(self, one: Waiting, settlement: Settlement, seconds: float) -> None:
        """Say how the job ended, if it ended otherwise."""
        end = ending(settlement, seconds)
        if end is not None:
            type_, fields = end
            self._send(type_, one, **fields)

    @property
    def _is_heard(self) -> bool:
        dispatcher = self._consumer.event_dispatcher
        return dispatcher is not None and bool(dispatcher.enabled)

    def _send(self, type_: str, one: Waiting, **fields: Any) -> None:
        if self._is_heard:
            self._consumer.event_dispatcher.send(type_, uuid=one.id, **fields)
