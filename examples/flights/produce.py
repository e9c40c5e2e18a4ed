"""Send a month of flights as jobs, with stock Celery and nothing else.

    python examples/flights/produce.py --broker redis://localhost/0

Ids are the same at every run, so that a second run changes nothing.
"""

import argparse
import csv
import gzip
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from celery import Celery

TASK = QUEUE = "celeriac.ingest"
TARGET = "flights"
FLIGHTS = Path(__file__).with_name("flights-2013-01.csv.gz")
TEXT = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})
MISSING = "NA"
SINGLE_JOBS = 5_000
ROWS_PER_JOB = 100
BAD_ROWS = 5
MESSAGES_PER_TRIP = 500

Row = dict[str, str | int | None]
Job = tuple[str, list[Row]]


def main() -> None:
    """Send the file's rows, then a few that the table will not take, and say how many."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--broker", required=True, help="URL of the broker, in Celery's form")
    app = Celery("flights", broker=parser.parse_args().broker)
    rows = list(read(FLIGHTS))
    sent = send(app, chain(good_jobs(rows), [bad_job(rows)]))
    print(f"sent {len(rows) + BAD_ROWS:,} rows as {sent:,} jobs")


def read(path: Path) -> Iterator[Row]:
    """Read typed rows from the compressed file."""
    with gzip.open(path, "rt", newline="") as file:
        for line in csv.DictReader(file):
            yield {name: value_of(name, text) for name, text in line.items()}


def value_of(name: str, text: str) -> str | int | None:
    """Return a field's value as JSON will carry it."""
    if text == MISSING:
        return None
    return text if name in TEXT else int(text)


def good_jobs(rows: list[Row]) -> Iterator[Job]:
    """Make many small jobs first, then larger ones, as applications do."""
    waiting = iter(rows)
    small = ([row] for row in islice(waiting, SINGLE_JOBS))
    large = iter(lambda: list(islice(waiting, ROWS_PER_JOB)), [])
    for number, job_rows in enumerate(chain(small, large), start=1):
        yield f"flights-2013-01-{number:05d}", job_rows


def bad_job(rows: list[Row]) -> Job:
    """Make a job whose rows hold a word where the table wants a number."""
    return "flights-2013-01-bad-1", [{**row, "dep_delay": "late"} for row in rows[:BAD_ROWS]]


def send(app: Celery, jobs: Iterator[Job]) -> int:
    """Send the jobs, many in one round trip, and return how many there were."""
    sent = 0
    with app.producer_or_acquire() as producer, producer.batch(max_size=MESSAGES_PER_TRIP):
        for job_id, rows in jobs:
            app.send_task(
                TASK,
                kwargs={"target": TARGET, "rows": rows},
                queue=QUEUE,
                task_id=job_id,
                ignore_result=True,
                producer=producer,
            )
            sent += 1
    return sent


if __name__ == "__main__":
    main()
