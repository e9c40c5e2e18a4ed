"""Compare what a job's result says with what the ledger says."""

from collections.abc import Mapping
from typing import Any

from tests.faults.final_state import ACCOUNTS, LedgerRow
from tests.faults.sent import SentJob


def status_lies(
    job: SentJob, ledger: list[LedgerRow], result: Mapping[str, Any] | None
) -> list[str]:
    """Return every way in which the result contradicts the ledger, once all is drained."""
    status = result["status"] if result else None
    committed = [row for row in ledger if row.state == "committed"]
    if not committed:
        return _lies_about_nothing(job, ledger, status)
    if status is None:
        return [f"{job.id}: committed without a result"] if job.wants_result else []
    if status != "SUCCESS":
        return [f"{job.id}: {status} for a committed job"]
    return _wrong_answer(job, committed[0], result["result"] if result else None)


def _lies_about_nothing(job: SentJob, ledger: list[LedgerRow], status: str | None) -> list[str]:
    states = ", ".join(row.state for row in ledger) or "nothing"
    if status == "SUCCESS":
        return [f"{job.id}: SUCCESS, the ledger says {states}"]
    if status == "FAILURE" and not any(row.state == "dead" for row in ledger):
        return [f"{job.id}: FAILURE, the ledger says {states}"]
    if status is None and job.wants_result and any(row.state == "dead" for row in ledger):
        return [f"{job.id}: dead without a result"]
    return []


def _wrong_answer(job: SentJob, ledger: LedgerRow, answer: Any) -> list[str]:
    """Compare the counts of an answer that names them; a kind may answer otherwise."""
    if not isinstance(answer, Mapping):
        return []
    told = {name: answer[name] for name in ACCOUNTS if name in answer}
    kept = {name: ledger.counts[name] for name in told}
    return [f"{job.id}: SUCCESS tells {told}, the ledger {kept}"] if told != kept else []
