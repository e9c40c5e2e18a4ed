"""Large jobs beside small ones: memory stays bounded, all commit, Redis answers all the time."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from tests.faults.entries import Entries
from tests.faults.probe import Probe
from tests.faults.storm import DRAIN_SECONDS, Storm
from tests.waiting import wait_for

MEBIBYTE = 1024 * 1024
BIG_BYTES = 4 * MEBIBYTE
#: Beside each big one.
SMALL_JOBS = 5
#: Nobody may keep Redis from answering for longer.
LONGEST_SILENCE_SECONDS = 0.3
#: What any process may have, with the batch that it runs in several forms.
MOST_BYTES = 400 * MEBIBYTE


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Two workers that wait for jobs."""
    with Storm(tmp_path, worker_env) as storm:
        storm.crew.start(2)
        yield storm


@pytest.mark.parametrize("big_jobs", [20, pytest.param(60, marks=pytest.mark.storm)])
def test_big_jobs_beside_small_ones(storm: Storm, tmp_path: Path, big_jobs: int) -> None:
    """All are committed though all wait at once, and every process stays small."""
    # Reading stays possible: somebody looks on.
    with closing(psycopg2.connect(storm.database_url)) as connection:
        connection.cursor().execute("LOCK TABLE faults.entry IN EXCLUSIVE MODE")
        send_all(storm, tmp_path, big_jobs)
    most = most_memory_until_all_ended(storm, big_jobs)

    assert 0 < most < MOST_BYTES
    storm.finish().assert_clean()


@pytest.mark.storm
def test_redis_is_never_blocked_for_long(storm: Storm, tmp_path: Path) -> None:
    """Whoever asks Redis something meanwhile is answered soon."""
    with Probe(storm.broker_url) as probe:
        send_all(storm, tmp_path, big_jobs=40)
        most_memory_until_all_ended(storm, big_jobs=40)

    assert 0 < probe.looks
    assert LONGEST_SILENCE_SECONDS > probe.longest_seconds


def send_all(storm: Storm, folder: Path, big_jobs: int) -> None:
    """Enqueue big jobs and small ones in turns."""
    entries = Entries(storm, folder / "entries.jsonl")
    for _ in range(big_jobs):
        entries.send(note_bytes=BIG_BYTES)
        entries.send(SMALL_JOBS)


def most_memory_until_all_ended(storm: Storm, big_jobs: int) -> int:
    """Wait for the end of all jobs; return the most bytes that a process had meanwhile."""
    most = 0

    def all_ended() -> bool:
        nonlocal most
        most = max(most, most_memory(storm))
        return storm.ended() == big_jobs * (1 + SMALL_JOBS)

    wait_for(all_ended, DRAIN_SECONDS, "all jobs to end")
    return most


def most_memory(storm: Storm) -> int:
    """Return the bytes of the process that has most of them now."""
    return max(process.memory_info().rss for process in storm.crew.processes())
