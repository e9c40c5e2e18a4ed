"""The oracle calls an honest run clean and reports each violation that is planted in one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.history import History, SentJob
from tests.faults.honest_worker import HonestWorker
from tests.faults.oracle import Verdict, check
from tests.faults.redis_state import redis_client
from tests.faults.workload import Workload

LOAD = Workload(seed=5, jobs=40, fewest_rows=3, most_rows=8, bad_share=0.2, wants_result=True)
JOBS = list(LOAD)


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


def job_of(target: str) -> SentJob:
    """Return a job whose first row is good and that holds a bad one."""
    return next(
        job for job in JOBS if job.target == target and not job.rows[0].is_bad and job.bad_rows
    )


ENTRY, KEYED, MOVEMENT = (
    job_of(target) for target in ("faults_entry", "faults_keyed", "faults_movement")
)
BAD_ROW = next(row.row for row in ENTRY.rows if row.is_bad)

Plant = Callable[[HonestWorker], None]


def sql(query: str, *values: object) -> Plant:
    """Plant by a statement."""
    return lambda run: run.execute(query, *values)


def status(job: SentJob, word: str) -> Plant:
    """Plant by a result."""
    return lambda run: run.settle(job.id, word)


#: What is planted, the kinds of violation that it must be reported as, and words in the report.
PLANTS: dict[str, tuple[Plant, set[str], str]] = {
    "a lost job": (
        sql(
            "DELETE FROM faults.entry WHERE job = %s; "
            "DELETE FROM celeriac.quarantine WHERE job_id = %s; "
            "DELETE FROM celeriac.job WHERE id = %s",
            *[ENTRY.id] * 3,
        ),
        {"lost", "status_lies"},
        f"{ENTRY.id} row 1",
    ),
    "a lost row": (
        sql("DELETE FROM faults.entry WHERE job = %s AND row = 1", ENTRY.id),
        {"lost", "torn", "ledger_mismatches"},
        f"{ENTRY.id} row 1",
    ),
    "a lost bad row": (
        sql("DELETE FROM celeriac.quarantine WHERE job_id = %s", ENTRY.id),
        {"lost", "torn", "ledger_mismatches"},
        f"{ENTRY.id} row {BAD_ROW}",
    ),
    "a doubled row": (
        sql("INSERT INTO faults.entry SELECT * FROM faults.entry WHERE job = %s", ENTRY.id),
        {"duplicated", "ledger_mismatches"},
        f"{ENTRY.id} row 1",
    ),
    "a row both stored and set aside": (
        sql(
            "INSERT INTO celeriac.quarantine (job_id, row_number, target, row, sqlstate, message) "
            "VALUES (%s, 1, 'faults_entry', '{}', '22P02', '')",
            ENTRY.id,
        ),
        {"duplicated", "misplaced", "ledger_mismatches"},
        f"{ENTRY.id} row 1",
    ),
    "a doubled movement": (
        sql(
            "INSERT INTO faults.movement SELECT * FROM faults.movement WHERE job = %s", MOVEMENT.id
        ),
        {"duplicated", "counter_mismatches", "ledger_mismatches"},
        f"{MOVEMENT.id} row 1",
    ),
    "a doubled counter behind an intact table": (
        sql("UPDATE faults.account SET balance = balance + 7 WHERE id = 3"),
        {"counter_mismatches"},
        "account 3: ",
    ),
    "a good row set aside": (
        sql(
            "WITH gone AS (DELETE FROM faults.keyed WHERE job = %s AND row = 1 RETURNING job) "
            "INSERT INTO celeriac.quarantine (job_id, row_number, target, row, sqlstate, message) "
            "SELECT job, 1, 'faults_keyed', '{}', '22P02', '' FROM gone",
            KEYED.id,
        ),
        {"misplaced", "ledger_mismatches"},
        f"{KEYED.id} row 1",
    ),
    "a bad row set aside for another reason": (
        sql("UPDATE celeriac.quarantine SET sqlstate = '23505' WHERE job_id = %s", ENTRY.id),
        {"misplaced"},
        f"{ENTRY.id} row {BAD_ROW}",
    ),
    "a row of a job that nobody sent": (
        sql("INSERT INTO faults.entry VALUES ('stranger', 4, 1)"),
        {"unexpected"},
        "stranger row 4",
    ),
    "a row that was not in its job": (
        sql("INSERT INTO faults.keyed VALUES (%s, 999, 1)", KEYED.id),
        {"unexpected", "ledger_mismatches"},
        f"{KEYED.id} row 999",
    ),
    "another amount": (
        sql("UPDATE faults.keyed SET amount = amount + 1 WHERE job = %s AND row = 1", KEYED.id),
        {"unexpected"},
        f"{KEYED.id} row 1",
    ),
    "a row in another job's target": (
        sql(
            "WITH gone AS (DELETE FROM faults.entry WHERE job = %s AND row = 1 RETURNING *) "
            "INSERT INTO faults.keyed SELECT job, row, amount FROM gone",
            ENTRY.id,
        ),
        {"unexpected"},
        f"{ENTRY.id} row 1",
    ),
    "accounts that do not add up": (
        sql(
            "ALTER TABLE celeriac.job DROP CONSTRAINT IF EXISTS job_accounts; "
            "UPDATE celeriac.job SET superseded = 1 WHERE id = %s",
            ENTRY.id,
        ),
        {"ledger_mismatches"},
        "the five accounts",
    ),
    "counts that add up but are not the target's": (
        sql("UPDATE celeriac.job SET inserted = inserted - 1, ignored = 1 WHERE id = %s", KEYED.id),
        {"ledger_mismatches"},
        f"{KEYED.id}: inserted should be",
    ),
    "a ledger that never heard of the rows": (
        sql(
            "ALTER TABLE celeriac.quarantine DROP CONSTRAINT quarantine_job_id_fkey; "
            "DELETE FROM celeriac.job WHERE id = %s",
            ENTRY.id,
        ),
        {"ledger_mismatches", "status_lies"},
        "the ledger says nothing",
    ),
    "SUCCESS for a job that is dead": (
        sql(
            "DELETE FROM faults.entry WHERE job = %s; "
            "DELETE FROM celeriac.quarantine WHERE job_id = %s; "
            "UPDATE celeriac.job SET state = 'dead', error = 'planted' WHERE id = %s",
            *[ENTRY.id] * 3,
        ),
        {"status_lies"},
        "SUCCESS, the ledger says dead",
    ),
    "FAILURE for a committed job": (
        status(KEYED, "FAILURE"),
        {"status_lies"},
        "FAILURE for a committed job",
    ),
    "RETRY for ever": (status(KEYED, "RETRY"), {"status_lies"}, "RETRY for a committed job"),
    "a result that was asked for and never came": (
        lambda run: run.forget_result(KEYED.id),
        {"status_lies"},
        "committed without a result",
    ),
}


@pytest.fixture
def run(database: str, result_url: str, tmp_path: Path) -> HonestWorker:
    """A run in which everything went well."""
    run = HonestWorker(tmp_path / "history.jsonl", database, result_url)
    run.run(JOBS)
    return run


def verdict_on(run: HonestWorker, broker_url: str | None = None) -> Verdict:
    return check(run.history, run.database_url, run.result_url, broker_url)


def test_an_honest_run_is_clean(run: HonestWorker) -> None:
    """Every row is found once, good ones in their targets and bad ones in quarantine."""
    verdict = verdict_on(run)

    verdict.assert_clean()
    sent = [(job.id, row) for job in JOBS for row in job.rows]
    assert {job.id for job in JOBS} == set(verdict.acked)
    assert sorted((job, row.row) for job, row in sent if not row.is_bad) == sorted(
        verdict.committed
    )
    assert sorted((job, row.row) for job, row in sent if row.is_bad) == sorted(verdict.quarantined)


@pytest.mark.parametrize(("plant", "kinds", "words"), PLANTS.values(), ids=PLANTS.keys())
def test_a_planted_violation_is_reported(
    run: HonestWorker, plant: Plant, kinds: set[str], words: str
) -> None:
    """It is reported as what it is, as nothing else, and by name."""
    plant(run)

    verdict = verdict_on(run)

    assert kinds == set(verdict.violations())
    with pytest.raises(AssertionError, match=words):
        verdict.assert_clean()


def test_a_job_that_still_waits_is_pending(run: HonestWorker, broker_url: str) -> None:
    """It is not lost while a list of the broker holds it, and lost once none does."""
    job = replace(ENTRY, id="waits", wants_result=False)
    with History(run.history) as history:
        history.attempt(job)
        history.ack(job.id)
    with redis_client(broker_url) as broker:
        broker.lpush("celeriac.ingest", json.dumps({"headers": {"id": job.id}}))

    waiting = verdict_on(run, broker_url)
    with redis_client(broker_url) as broker:
        broker.delete("celeriac.ingest")
    lost = verdict_on(run, broker_url)

    assert ["waits"] == waiting.pending
    waiting.assert_clean(pending=True)
    with pytest.raises(AssertionError, match="pending"):
        waiting.assert_clean()
    assert [("waits", row.row) for row in job.rows] == lost.lost


def test_a_job_in_doubt_may_be_there_or_not(run: HonestWorker) -> None:
    """Neither is a violation; one that is there counts as recovered."""
    there, nowhere = (replace(ENTRY, id=name, wants_result=False) for name in ("there", "nowhere"))
    with History(run.history) as history:
        for job in (there, nowhere):
            history.attempt(job)
        history.indeterminate(there.id, "connection reset")
    run.commit([there])

    verdict = verdict_on(run)

    verdict.assert_clean()
    assert ["there"] == verdict.recovered
    assert ["there", "nowhere"] == verdict.indeterminate


def test_a_send_that_failed_must_leave_nothing(run: HonestWorker) -> None:
    """Rows of a job that never left its producer are unexpected."""
    job = replace(ENTRY, id="failed", wants_result=False)
    with History(run.history) as history:
        history.attempt(job)
        history.fail(job.id, "not JSON")
    run.commit([job])

    verdict = verdict_on(run)

    assert {("failed", row.row) for row in job.rows} == set(verdict.unexpected)


def test_a_dead_job_is_told_apart(run: HonestWorker) -> None:
    """A buried job is no loss, but fails a run that did not expect one."""
    run.execute(
        "DELETE FROM faults.keyed WHERE job = %s; "
        "DELETE FROM celeriac.quarantine WHERE job_id = %s; "
        "UPDATE celeriac.job SET state = 'dead', error = 'planted' WHERE id = %s",
        *[KEYED.id] * 3,
    )
    run.settle(KEYED.id, "FAILURE")

    verdict = verdict_on(run)

    assert [KEYED.id] == verdict.dead
    verdict.assert_clean(dead=True)
    with pytest.raises(AssertionError, match="dead"):
        verdict.assert_clean()
