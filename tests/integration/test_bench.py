"""The bench measures what it says: a short run of its command, and the parts that could mislead."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from redis import Redis

from bench.delay import delayed
from bench.ground import RunFailed
from bench.messages import multiply
from bench.row import INSERT, row
from bench.servers import TABLES
from bench.target import Target
from celeriac.message import Message, new_id, write_body, write_message
from tests.waiting import least_seconds
from tests.workers import ROOT
from worker.embedded import EmbeddedValkey

RUN_SECONDS = 120


def test_short_run_writes_figures_of_floor_and_worker(tmp_path: Path) -> None:
    """A short run counts every row, and writes the rates and latencies of what it was asked for."""
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench", "--subjects", "floor,celeriac_1w1c"]
    command += ["--scenarios", "drain,latency", "--output", str(output)]
    command += ["--jobs", "500", "--runs", "1", "--latency-jobs", "20"]

    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    wanted = ["celeriac_1w1c", "floor"]
    for key in ("drain_jobs_per_s", "latency_ms.p50", "latency_ms.p99", "cost_per_1000_jobs"):
        assert wanted == sorted(results[key]), key
    assert {"floor": 500, "celeriac_1w1c": 500} == results["jobs"]


@pytest.mark.storm
def test_short_run_of_reports_writes_figures(tmp_path: Path) -> None:
    """A short run makes reports as jobs beside COPY and pandas, and small ones together."""
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench", "--scenarios", "reports,report_memory,small_reports"]
    command += ["--subjects", "copy,csv,parquet,pandas_parquet,celeriac", "--output", str(output)]
    command += ["--report-rows", "30000", "--small-reports", "20", "--runs", "1"]

    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    rates = sorted(results["report_rows_per_s"])
    assert ["copy", "csv", "pandas_parquet", "parquet"] == rates
    peaks = sorted(results["report_peak_mb"])
    assert ["csv.3000", "csv.30000", "parquet.3000", "parquet.30000"] == peaks
    assert ["celeriac"] == list(results["small_reports_per_s"])


@pytest.mark.parametrize("there", [[1, 2], [1, 2, 3, 4], [1, 2, 4]])
def test_run_that_left_other_rows_fails(there: list[int], empty_database: str) -> None:
    """A row too few, too many or of another job fails the run."""
    with psycopg2.connect(empty_database) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES.read_text())
        cursor.executemany(INSERT, [row(number) for number in there])

    with Target(empty_database) as target, pytest.raises(RunFailed) as failure:
        target.verify(3)

    assert "not (3, 1, 3)" in str(failure.value)


def test_delayed_link_adds_its_time_to_every_round_trip_once(valkey_server: EmbeddedValkey) -> None:
    """Every round trip takes longer by the delay; what is pipelined shares one, in its order."""
    answers: list[Any] = []
    with delayed(str(valkey_server.socket), 50) as link, Redis(port=link.port) as client:
        client.ping()

        def ask() -> None:
            with client.pipeline(transaction=False) as pipe:
                for number in range(100):
                    pipe.echo(str(number))
                answers.append(pipe.execute())

        seconds = least_seconds(ask, 1)

    assert [str(number).encode() for number in range(100)] == answers[-1]
    assert 0.05 <= seconds < 1


def test_multiplied_messages_differ_in_id_and_row_alone() -> None:
    """A multiplied message is the first one but for the id and the row, which are all different."""
    arguments = json.dumps({"target": "bench", "rows": [row(1)]})
    first = write_message(
        Message(
            id=new_id(),
            task="celeriac.ingest",
            queue="celeriac.ingest",
            body=write_body(arguments),
            description="",
            track=False,
            reply_to=new_id(),
        )
    )

    found = [json.loads(bytes(message)) for message in multiply(first, 3)]  # type: ignore[arg-type]

    ids = {UUID(one["headers"]["id"]) for one in found}
    assert 3 == len(ids)
    bodies = [json.loads(base64.b64decode(one.pop("body"))) for one in found]
    assert [[row(number)] for number in (1, 2, 3)] == [body[1]["rows"] for body in bodies]
    assert _without_id(json.loads(first)) == _without_id(found[2])


def _without_id(message: dict) -> str:
    message.pop("body", None)
    return json.dumps(message).replace(message["headers"]["id"], "")
