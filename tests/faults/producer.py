"""Send a bounded load as any application with stock Celery would, and keep its history.

    python -m tests.faults.producer --broker URL --history FILE --jobs 1000 \\
        --rows-per-job 1:20 --seed 1 [--result URL] [--rate 200] [--resend]

Imports nothing of the product. An outage of the broker does not end it: a send
without an answer is noted as indeterminate.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from celery import Celery

from tests.faults.history import History, Outcome, SentJob
from tests.faults.workload import TASK, Workload, payload

QUEUE = "celeriac.ingest"
#: Rest after a send without an answer, so that an outage does not use up the load.
_REST_SECONDS = 0.2
_SOCKET_SECONDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the load; print how the sends ended as one JSON line."""
    asked = _parser().parse_args(arguments)
    fewest, _, most = asked.rows_per_job.partition(":")
    workload = Workload(
        seed=asked.seed,
        jobs=asked.jobs,
        fewest_rows=int(fewest),
        most_rows=int(most or fewest),
        bad_share=asked.bad_share,
        wants_result=asked.result is not None,
    )
    with History(asked.history) as history:
        ends = _send_all(workload, _app(asked.broker, asked.result), history, asked)
    print(json.dumps({outcome.value: ends[outcome] for outcome in Outcome}))
    return 0


def _send_all(
    workload: Workload, app: Celery, history: History, asked: argparse.Namespace
) -> Counter[Outcome]:
    started = time.monotonic()
    ends: Counter[Outcome] = Counter()
    for number, job in enumerate(workload):
        if asked.rate:
            time.sleep(max(0.0, started + number / asked.rate - time.monotonic()))
        outcome = _send(job, app, history)
        while asked.resend and outcome is Outcome.INDETERMINATE:
            outcome = _send(job, app, history)
        ends[outcome] += 1
    return ends


def _send(job: SentJob, app: Celery, history: History) -> Outcome:
    history.attempt(job)
    try:
        app.send_task(
            TASK,
            kwargs=payload(job.id, job.target, job.rows),
            queue=QUEUE,
            task_id=job.id,
            ignore_result=not job.wants_result,
            retry=False,
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it means: no answer
        history.indeterminate(job.id, repr(error))
        time.sleep(_REST_SECONDS)
        return Outcome.INDETERMINATE
    history.ack(job.id)
    return Outcome.ACKED


def _app(broker: str, result: str | None) -> Celery:
    app = Celery("producer", broker=broker, backend=result)
    # Stock settings, but for waits that end: by default a half-open socket hangs a producer.
    sockets = {"socket_timeout": _SOCKET_SECONDS, "socket_connect_timeout": _SOCKET_SECONDS}
    app.conf.update(
        broker_transport_options={**sockets, "max_retries": 1, "interval_start": 0.1},
        redis_socket_timeout=_SOCKET_SECONDS,
        redis_socket_connect_timeout=_SOCKET_SECONDS,
        result_backend_transport_options={"retry_policy": {"max_retries": 1}},
    )
    return app


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.producer", description=__doc__)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--result", help="where results are asked for; without it none are")
    parser.add_argument("--history", required=True, type=Path)
    parser.add_argument("--jobs", required=True, type=int)
    parser.add_argument("--rows-per-job", default="1:20", metavar="A:B")
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--rate", type=float, help="jobs a second; without it as fast as it goes")
    parser.add_argument("--bad-share", type=float, default=0.02)
    parser.add_argument(
        "--resend", action="store_true", help="send a job without an answer again, same id"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
