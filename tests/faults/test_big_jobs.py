"""Large jobs beside small ones: Redis answers all the time, memory stays bounded, all commit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.entries import Entries
from tests.faults.probe import Probe
from tests.faults.storm import DRAIN_SECONDS, Storm
from tests.waiting import wait_for

MEBIBYTE = 1024 * 1024
BIG_JOBS = 40
BIG_BYTES = 4 * MEBIBYTE
SMALL_JOBS = 200
#: Nobody may keep Redis from answering for longer.
LONGEST_SILENCE_SECONDS = 0.3
#: The big jobs alone are more than twice that: no process may gather them all.
MOST_BYTES = 400 * MEBIBYTE


@pytest.fixture
def storm(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Storm]:
    """Two workers that wait for jobs."""
    with Storm(tmp_path, worker_env) as storm:
        storm.crew.start(2)
        yield storm


@pytest.mark.storm
def test_big_jobs_beside_small_ones(storm: Storm, tmp_path: Path) -> None:
    """All are committed, no process holds them all at once, and Redis is never blocked for long."""
    entries = Entries(storm, tmp_path / "entries.jsonl")
    most = 0
    with Probe(storm.broker_url) as probe:
        for _ in range(BIG_JOBS):
            entries.send(note_bytes=BIG_BYTES)
            entries.send(SMALL_JOBS // BIG_JOBS)

        def all_ended() -> bool:
            nonlocal most
            most = max(most, *(process.memory_info().rss for process in storm.crew.processes()))
            return storm.ended() == BIG_JOBS + SMALL_JOBS

        wait_for(all_ended, DRAIN_SECONDS, "all jobs to end")

    assert LONGEST_SILENCE_SECONDS > probe.longest_seconds
    assert 0 < most < MOST_BYTES
    storm.finish().assert_clean()
