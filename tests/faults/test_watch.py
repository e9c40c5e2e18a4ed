"""The watch sees half a job whichever half comes first, and nothing where there is none."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import psycopg2.extensions
import pytest

from tests.faults.honest_worker import HonestWorker, place, record
from tests.faults.oracle import AtomicityWatch
from tests.faults.workload import TARGETS, Workload
from tests.waiting import wait_for

JOBS = list(Workload(seed=7, jobs=60, fewest_rows=2, most_rows=6, bad_share=0.1))


@pytest.fixture
def database(swept_database: str) -> str:
    """One database for all of them."""
    return swept_database


@pytest.fixture
def run(database: str, result_url: str, tmp_path: Path) -> HonestWorker:
    """A database with the oracle's targets."""
    return HonestWorker(tmp_path / "history.jsonl", database, result_url)


@pytest.fixture
def connection(run: HonestWorker) -> Iterator[psycopg2.extensions.connection]:
    """A connection of a writer."""
    with closing(psycopg2.connect(run.database_url)) as connection:
        yield connection


def test_whole_jobs_are_no_finding(run: HonestWorker) -> None:
    """Jobs that appear whole, one by one and in batches, are looked at and found in order."""
    with AtomicityWatch(run.database_url) as watch:
        for at in range(0, len(JOBS), 5):
            run.commit(JOBS[at : at + 5])
        wait_for(lambda: watch.looks >= len(JOBS))

    watch.assert_clean()


@pytest.mark.parametrize("target", TARGETS)
def test_rows_before_their_ledger_are_seen(
    run: HonestWorker, connection: psycopg2.extensions.connection, target: str
) -> None:
    """A ledger that is written in a second transaction is noticed between the two."""
    job = next(job for job in JOBS if job.target == target and not job.bad_rows)

    with AtomicityWatch(run.database_url) as watch:
        with connection, connection.cursor() as cursor:
            place(cursor, job, job.rows)
        wait_for(lambda: watch.torn)
        with connection, connection.cursor() as cursor:
            record(cursor, job)

    with pytest.raises(AssertionError, match="the ledger says nothing"):
        watch.assert_clean()


def test_a_ledger_before_its_rows_is_seen(
    run: HonestWorker, connection: psycopg2.extensions.connection
) -> None:
    """A job that is called committed before its rows are there is noticed."""
    with AtomicityWatch(run.database_url) as watch:
        with connection, connection.cursor() as cursor:
            record(cursor, JOBS[0])
        wait_for(lambda: watch.torn)

    with pytest.raises(AssertionError, match=JOBS[0].id):
        watch.assert_clean()


def test_part_of_the_rows_is_seen(
    run: HonestWorker, connection: psycopg2.extensions.connection
) -> None:
    """A job that misses a row is noticed among whole ones."""
    run.commit(JOBS[:20])
    torn = JOBS[20]

    with AtomicityWatch(run.database_url) as watch:
        with connection, connection.cursor() as cursor:
            record(cursor, torn)
            place(cursor, torn, torn.rows[:-1])
        wait_for(lambda: watch.torn)

    assert 1 == len(watch.torn)


def test_the_watch_outlives_its_connection(run: HonestWorker) -> None:
    """A server that throws the watch out is asked again."""
    run.commit(JOBS[:5])
    with AtomicityWatch(run.database_url) as watch:
        wait_for(lambda: watch.polls)
        run.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'atomicity watch' AND datname = current_database()"
        )
        polls = watch.polls
        wait_for(lambda: watch.polls > polls + 1)

    watch.assert_clean()


def test_a_watch_that_saw_nothing_proves_nothing(run: HonestWorker) -> None:
    """Being clean takes at least one job looked at."""
    with AtomicityWatch(run.database_url) as watch:
        wait_for(lambda: watch.polls)

    with pytest.raises(AssertionError, match="watched nothing"):
        watch.assert_clean()
