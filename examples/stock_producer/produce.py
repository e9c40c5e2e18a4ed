"""Send jobs to Celeriac from an application that knows Celery and nothing of Celeriac.

python examples/stock_producer/produce.py BROKER_URL RESULT_URL
"""

import sys

from celery import Celery

FLIGHT = {
    "year": 2013,
    "month": 1,
    "day": 1,
    "dep_time": 517,
    "sched_dep_time": 515,
    "dep_delay": 2,
    "arr_time": 830,
    "sched_arr_time": 819,
    "arr_delay": 11,
    "carrier": "UA",
    "flight": 1545,
    "tailnum": "N14228",
    "origin": "EWR",
    "dest": "IAH",
    "air_time": 227,
    "distance": 1400,
    "hour": 5,
    "minute": 15,
    "time_hour": "2013-01-01T10:00:00Z",
}
WAIT_SECONDS = 30


def main(broker_url: str, result_url: str) -> None:
    """Send one job that goes well, one with a bad row, one that can never succeed."""
    app = Celery("shop", broker=broker_url, backend=result_url)
    good = send(app, target="flights", rows=[FLIGHT])
    mixed = send(app, target="flights", rows=[FLIGHT, {**FLIGHT, "distance": "far"}])
    hopeless = send(app, target="no_such_target", rows=[FLIGHT])
    for result in (good, mixed, hopeless):
        answer = result.get(timeout=WAIT_SECONDS, propagate=False)
        print(f"{result.state}: {answer}")


def send(app: Celery, **arguments: object):
    """Send a job by its task's name; nothing of Celeriac is imported."""
    return app.send_task("celeriac.ingest", kwargs=arguments, queue="celeriac.ingest")


if __name__ == "__main__":
    main(*sys.argv[1:])
