"""Keep what a producer did in a file, outside every server under test.

One JSON object a line, appended by one write each, so a killed producer loses
at most the line it was writing. Nothing here knows the product.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.faults.sent import Outcome, SentJob, SentRow

__all__ = ["History", "Outcome", "SentJob", "SentRow", "read"]


class History:
    """Append to one history file; a second writer of the same file is refused.

    A torn last line of an earlier producer is cut off: its send was never
    begun, or its answer counts as unknown.
    """

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._fsync = fsync
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(self._file, path.read_bytes().rfind(b"\n") + 1)

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def attempt(self, job: SentJob) -> None:
        """Note that ``job`` is about to be sent; call it before the send."""
        self._append(
            {
                "event": "attempt",
                "job": job.id,
                "task": job.task,
                "target": job.target,
                "rows": [row.row for row in job.rows],
                "amounts": [row.amount for row in job.rows],
                "accounts": [row.account for row in job.rows],
                "bad": job.bad_rows,
                "hash": job.payload_hash,
                "wants_result": job.wants_result,
            }
        )

    def ack(self, job_id: str) -> None:
        """Note that the broker accepted the job."""
        self._append({"event": Outcome.ACKED, "job": job_id})

    def fail(self, job_id: str, reason: str) -> None:
        """Note that the job certainly never left the producer."""
        self._append({"event": Outcome.FAILED, "job": job_id, "reason": reason})

    def indeterminate(self, job_id: str, reason: str) -> None:
        """Note that nobody can say whether the broker has the job."""
        self._append({"event": Outcome.INDETERMINATE, "job": job_id, "reason": reason})

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _append(self, event: Mapping[str, Any]) -> None:
        os.write(self._file, json.dumps(event, separators=(",", ":")).encode() + b"\n")
        if self._fsync:
            os.fsync(self._file)


def read(*paths: Path) -> dict[str, SentJob]:
    """Return every attempted job by id; a torn last line is left out."""
    jobs: dict[str, SentJob] = {}
    for path in paths:
        for event in _events(path):
            _note(jobs, event)
    return jobs


def _events(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path} is no history, line {number}") from error


def _note(jobs: dict[str, SentJob], event: Mapping[str, Any]) -> None:
    known = jobs.get(event["job"])
    if event["event"] == "attempt":
        jobs[event["job"]] = _sent(event) if known is None else _sent_again(known, event)
    elif known is None:
        raise ValueError(f"history has an answer without an attempt, job {event['job']!r}")
    else:
        jobs[known.id] = replace(known, outcome=_outcome(known, Outcome(event["event"])))


def _sent(event: Mapping[str, Any]) -> SentJob:
    columns = zip(event["rows"], event["amounts"], event["accounts"], strict=True)
    return SentJob(
        id=event["job"],
        task=event["task"],
        target=event["target"],
        rows=tuple(SentRow(*column) for column in columns),
        payload_hash=event["hash"],
        wants_result=event["wants_result"],
    )


def _sent_again(known: SentJob, event: Mapping[str, Any]) -> SentJob:
    if event["hash"] != known.payload_hash:
        raise ValueError(f"history has two payloads for one id, job {known.id!r}")
    # Another send opens the question again, unless it was settled by an ack.
    outcome = Outcome.ACKED if known.outcome is Outcome.ACKED else Outcome.INDETERMINATE
    return replace(known, attempts=known.attempts + 1, outcome=outcome)


def _outcome(known: SentJob, now: Outcome) -> Outcome:
    """Keep an ack whatever follows; only a single send can be known to have failed."""
    if Outcome.ACKED in (known.outcome, now):
        return Outcome.ACKED
    return now if known.attempts == 1 else Outcome.INDETERMINATE
