"""The producer is stock Celery, deterministic, and truthful about what it could not know."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.history import Outcome, read
from tests.faults.producer import QUEUE
from tests.faults.proxy import FaultProxy
from tests.faults.redis_state import redis_client
from tests.faults.workload import TARGETS, Workload
from tests.waiting import wait_for
from tests.workers import ROOT
from worker.embedded import EmbeddedValkey

SECONDS = 60


@pytest.fixture
def proxy(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[FaultProxy]:
    """A proxy in front of an empty broker."""
    with FaultProxy(str(valkey_server.socket)) as proxy:
        yield proxy


def test_every_acknowledged_job_is_in_the_queue(broker_url: str, tmp_path: Path) -> None:
    """The queue holds the history's jobs, in Celery's own form, with the rows it tells of."""
    history = tmp_path / "history.jsonl"

    summary = finished(started(broker_url, history, "--jobs", "60", "--bad-share", "0.1"))

    sent, queued = read(history), messages(broker_url)
    assert {"ack": 60, "fail": 0, "indeterminate": 0} == summary
    assert list(sent) == [message["headers"]["id"] for message in queued]
    assert set(TARGETS) == {job.target for job in sent.values()}
    for message, job in zip(queued, sent.values(), strict=True):
        rows = arguments(message)["rows"]
        assert job.target == arguments(message)["target"]
        assert [row.amount for row in job.rows] == [
            None if row["amount"] == "x" else row["amount"] for row in rows
        ]
        assert [(job.id, number) for number in range(1, len(rows) + 1)] == [
            (row["job"], row["row"]) for row in rows
        ]


def test_the_seed_decides_everything() -> None:
    """The same seed gives the same jobs, another one others, and about the asked share is bad."""
    first, again, other = (
        list(Workload(seed=seed, jobs=500, fewest_rows=1, most_rows=9)) for seed in (1, 1, 2)
    )

    rows = [row for job in first for row in job.rows]
    assert first == again
    assert not {job.id for job in first} & {job.id for job in other}
    assert 0.01 < sum(row.is_bad for row in rows) / len(rows) < 0.03


def test_results_are_asked_for_only_with_a_result_store(
    broker_url: str, result_url: str, tmp_path: Path
) -> None:
    """With ``--result`` messages ask for one and the history says so; without it neither does."""
    asking, silent = tmp_path / "asking", tmp_path / "silent"

    finished(started(broker_url, asking, "--jobs", "3", "--result", result_url))
    finished(started(broker_url, silent, "--jobs", "2", seed=2))

    wanted = [not message["headers"]["ignore_result"] for message in messages(broker_url)]
    assert [True, True, True, False, False] == wanted
    assert all(job.wants_result for job in read(asking).values())
    assert not any(job.wants_result for job in read(silent).values())


def test_an_outage_is_noted_and_survived(
    proxy: FaultProxy, broker_url: str, tmp_path: Path
) -> None:
    """Sends into an outage are in doubt; after it the producer goes on to its end."""
    history = tmp_path / "history.jsonl"
    producer = started(proxy.redis_url(), history, "--jobs", "150", "--rate", "50")
    wait_for(lambda: count(history, Outcome.ACKED) >= 10)

    proxy.refuse()
    proxy.cut()
    wait_for(lambda: count(history, Outcome.INDETERMINATE) >= 2)
    proxy.heal()

    summary = finished(producer)
    queued = [message["headers"]["id"] for message in messages(broker_url)]
    acked = {job.id for job in read(history).values() if job.outcome is Outcome.ACKED}
    assert summary["indeterminate"] >= 2
    assert 150 == summary["ack"] + summary["indeterminate"]
    assert acked <= set(queued) <= read(history).keys()


def test_a_lost_answer_is_sent_again_under_its_id(
    proxy: FaultProxy, broker_url: str, tmp_path: Path
) -> None:
    """With ``--resend`` a job whose answer was lost is in the queue more than once."""
    history = tmp_path / "history.jsonl"
    producer = started(proxy.redis_url(), history, "--jobs", "40", "--rate", "40", "--resend")
    wait_for(lambda: count(history, Outcome.ACKED) >= 5)

    proxy.half_open(to_server=False)
    wait_for(lambda: count(history, Outcome.INDETERMINATE) >= 1)
    proxy.heal()

    finished(producer)
    queued = [message["headers"]["id"] for message in messages(broker_url)]
    assert {Outcome.ACKED} == {job.outcome for job in read(history).values()}
    assert read(history).keys() == set(queued)
    assert len(queued) > len(set(queued))


def test_the_producer_needs_nothing_of_ours() -> None:
    """No module of the product is imported by it."""
    code = "import sys, tests.faults.producer; print(*{m.partition('.')[0] for m in sys.modules})"

    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert not {"celeriac", "worker", "tasks", "postgres", "config"} & set(loaded.stdout.split())


def started(broker: str, history: Path, *options: str, seed: int = 1) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.faults.producer", "--broker", broker]
    given = ["--history", str(history), "--seed", str(seed), "--rows-per-job", "1:5"]
    return subprocess.Popen(
        [*command, *given, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def finished(producer: "subprocess.Popen[str]") -> dict[str, int]:
    try:
        output, _ = producer.communicate(timeout=SECONDS)
    finally:
        producer.kill()
    assert 0 == producer.returncode
    summary: dict[str, int] = json.loads(output)
    return summary


def messages(broker_url: str) -> list[dict[str, Any]]:
    with redis_client(broker_url) as broker:
        return [json.loads(message) for message in reversed(broker.lrange(QUEUE, 0, -1))]


def arguments(message: dict[str, Any]) -> dict[str, Any]:
    kwargs: dict[str, Any] = json.loads(base64.b64decode(message["body"]))[1]
    return kwargs


def count(history: Path, event: Outcome) -> int:
    if not history.exists():
        return 0
    lines = history.read_bytes().splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return sum(seen["event"] == event for seen in events)
