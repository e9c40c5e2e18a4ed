"""Compare the figures of the ledger with what is really there."""

from tests.faults.final_state import ACCOUNTS, LedgerRow
from tests.faults.sent import SentJob


def ledger_mismatches(job: SentJob, placed: int, aside: int, ledger: list[LedgerRow]) -> list[str]:
    """Return every way in which a job's ledger differs from its rows."""
    committed = [row for row in ledger if row.state == "committed"]
    told = [line for row in committed for line in _wrong_figures(job, placed, aside, row)]
    if len(ledger) > 1:
        told.append(f"{job.id}: {len(ledger)} rows in the ledger")
    if (placed or aside) and not committed:
        states = ", ".join(row.state for row in ledger) or "nothing"
        told.append(f"{job.id}: rows are there, the ledger says {states}")
    return told


def _wrong_figures(job: SentJob, placed: int, aside: int, ledger: LedgerRow) -> list[str]:
    total = sum(ledger.counts[name] for name in ACCOUNTS)
    facts = {
        "task": (job.task, ledger.task),
        "target": (job.target, ledger.subject),
        "rows": (len(job.rows), ledger.rows),
        "the five accounts": (len(job.rows), total),
        "inserted": (placed, ledger.counts["inserted"]),
        "quarantined": (aside, ledger.counts["quarantined"]),
    }
    return [
        f"{job.id}: {name} should be {should!r}, the ledger says {says!r}"
        for name, (should, says) in facts.items()
        if should != says
    ]
