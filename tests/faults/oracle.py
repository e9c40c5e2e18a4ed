"""Judge a run: what a producer saw against what PostgreSQL and Redis hold.

Shares no code with the product, so that one mistake cannot excuse itself in
both. ``check`` reads and judges; ``judge`` alone is pure. Used with
``targets.sql``, whose rows carry their job's id and their number in it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.faults.figures import ledger_mismatches
from tests.faults.final_state import AsideRow, FinalState, PlacedRow, read_final_state
from tests.faults.history import Outcome, SentJob, read
from tests.faults.status import status_lies
from tests.faults.verdict import Verdict
from tests.faults.watch import AtomicityWatch

__all__ = ["AtomicityWatch", "Verdict", "check", "judge"]

#: SQLSTATE of the one mistake that producers make on purpose: text for an integer.
_WRONG_TYPE = "22P02"
_UNSETTLED = ("held", "working")


def check(
    history: Path | Iterable[Path],
    database_url: str,
    result_url: str,
    broker_url: str | None = None,
) -> Verdict:
    """Compare the histories with the final state.

    Without ``broker_url`` an accepted job that PostgreSQL does not know counts
    as lost; with it, as pending while some list of the broker still holds it.
    """
    sent = read(history) if isinstance(history, Path) else read(*history)
    return judge(sent, read_final_state(sent, database_url, result_url, broker_url))


def judge(sent: Mapping[str, SentJob], state: FinalState) -> Verdict:
    """Compare what was sent with what is there."""
    verdict = Verdict()
    for job in sent.values():
        _judge_job(job, state, verdict)
    _judge_strangers(sent, state, verdict)
    _judge_balances(sent, state, verdict)
    return verdict


def _judge_job(job: SentJob, state: FinalState, verdict: Verdict) -> None:
    placed, aside = state.placed.get(job.id, []), state.aside.get(job.id, [])
    ledger = state.ledger.get(job.id, [])
    if job.outcome is Outcome.ACKED:
        verdict.acked.append(job.id)
    if job.outcome is Outcome.INDETERMINATE:
        verdict.indeterminate.append(job.id)
    _judge_presence(job, placed, aside, verdict)
    _judge_fate(job, state, verdict)
    verdict.ledger_mismatches += ledger_mismatches(job, len(placed), len(aside), ledger)
    verdict.status_lies += status_lies(job, ledger, state.results.get(job.id))


def _judge_presence(
    job: SentJob, placed: list[PlacedRow], aside: list[AsideRow], verdict: Verdict
) -> None:
    """Look at every row that is somewhere: is it once, as sent, in its place?"""
    sent = {row.row: row for row in job.rows}
    for found in placed:
        row = sent.get(found.row)
        as_sent = row and (job.target, row.amount, row.account)
        if job.outcome is Outcome.FAILED or as_sent != (found.target, found.amount, found.account):
            verdict.unexpected.append((job.id, found.row))
        else:
            verdict.committed.append((job.id, found.row))
    for set_aside in aside:
        verdict.quarantined.append((job.id, set_aside.row))
        row = sent.get(set_aside.row)
        if job.outcome is Outcome.FAILED or row is None or set_aside.target != job.target:
            verdict.unexpected.append((job.id, set_aside.row))
        elif not row.is_bad or set_aside.sqlstate != _WRONG_TYPE:
            verdict.misplaced.append((job.id, set_aside.row))
    times = Counter([found.row for found in placed] + [found.row for found in aside])
    verdict.duplicated += [(job.id, row) for row, count in times.items() if count > 1]


def _judge_fate(job: SentJob, state: FinalState, verdict: Verdict) -> None:
    """Look at the job as a whole: was it kept, and is all of it there or nothing?"""
    present = {row.row for row in state.placed.get(job.id, [])}
    present |= {row.row for row in state.aside.get(job.id, [])}
    missing = [(job.id, row.row) for row in job.rows if row.row not in present]
    states = {row.state for row in state.ledger.get(job.id, [])}
    if present and missing:
        verdict.torn.append(f"{job.id}: {len(present)} of {len(job.rows)} rows are there")
    if "committed" in states:
        verdict.lost += missing
        if job.outcome is Outcome.INDETERMINATE and not missing:
            verdict.recovered.append(job.id)
    elif "dead" in states:
        verdict.dead.append(job.id)
    elif states.intersection(_UNSETTLED) or job.id in state.waiting:
        verdict.pending.append(job.id)
    elif job.outcome is Outcome.ACKED:
        verdict.lost += missing


def _judge_strangers(sent: Mapping[str, SentJob], state: FinalState, verdict: Verdict) -> None:
    """Report what belongs to no attempted job."""
    for job in state.placed.keys() - sent.keys():
        verdict.unexpected += [(job, row.row) for row in state.placed[job]]
    for job in state.aside.keys() - sent.keys():
        verdict.unexpected += [(job, row.row) for row in state.aside[job]]
    for job in state.ledger.keys() - sent.keys():
        verdict.ledger_mismatches.append(f"{job}: in the ledger, never sent")


def _judge_balances(sent: Mapping[str, SentJob], state: FinalState, verdict: Verdict) -> None:
    """Compare each balance with the sum over the jobs that the ledger calls committed."""
    model: Counter[int] = Counter()
    for job in sent.values():
        if any(row.state == "committed" for row in state.ledger.get(job.id, [])):
            for row in job.rows:
                if row.account is not None and row.amount is not None:
                    model[row.account] += row.amount
    for account in sorted(state.balances.keys() | model.keys()):
        should, holds = model[account], state.balances.get(account, 0)
        if should != holds:
            verdict.counter_mismatches.append(f"account {account}: {holds}, should be {should}")
