"""Send jobs from an application that has Celery, and nothing of Celeriac.

    python examples/plain_celery.py BROKER_URL RESULT_URL

What it shows: routes, so that no call has to name a queue; an id of one's own,
by which a job that is sent twice has its effect once; many jobs in few trips;
a job with an ETA; a report; and what a job that can never succeed looks like.
``examples/stock_producer`` is the shortest form of the same.
"""

import sys
from datetime import UTC, datetime, timedelta

from celery import Celery
from celery.result import AsyncResult

WAIT_SECONDS = 30
MESSAGES_PER_TRIP = 100
DAYS = 20
ROUTES = {
    "celeriac.ingest": {"queue": "celeriac.ingest"},
    "celeriac.ingest_file": {"queue": "celeriac.file"},
    "celeriac.report": {"queue": "celeriac.report"},
}


def main(broker_url: str, result_url: str) -> None:
    """Send jobs of each sort, and print how they ended."""
    app = Celery("travel", broker=broker_url, backend=result_url)
    app.conf.task_routes = ROUTES

    first = ingest(app, [departure(day=0)], task_id="plain-celery-first")
    print("one job:", first.get(WAIT_SECONDS))
    again = ingest(app, [departure(day=0)], task_id="plain-celery-first")
    print("the same again:", again.get(WAIT_SECONDS))

    sent = ingest_each(app, [departure(day) for day in range(DAYS)])
    print("many jobs:", sum(result.get(WAIT_SECONDS)["rows"] for result in sent), "rows")

    later = ingest(app, [departure(day=DAYS)], eta=datetime.now(UTC) + timedelta(seconds=1))
    print("later:", later.get(WAIT_SECONDS)["rows"], "row")

    report = app.send_task("celeriac.report", kwargs={"name": "carrier_delays", "format": "csv"})
    print("a report:", report.get(WAIT_SECONDS)["format"])

    hopeless = app.send_task("celeriac.ingest", kwargs={"target": "departures"})
    print("hopeless:", hopeless.get(WAIT_SECONDS, propagate=False))


def departure(day: int) -> dict[str, object]:
    """Make a row of the demo's target ``departures``."""
    scheduled = datetime(2014, 1, 1, 6, 30, tzinfo=UTC) + timedelta(days=day)
    return {
        "time_hour": scheduled.isoformat(),
        "carrier": "CE",
        "flight": 17,
        "origin": "JFK",
        "dest": "TXL",
        "dep_delay": day,
    }


def ingest(app: Celery, rows: list[dict[str, object]], **options: object) -> AsyncResult:
    """Send rows as one job."""
    arguments = {"target": "departures", "rows": rows}
    return app.send_task("celeriac.ingest", kwargs=arguments, **options)


def ingest_each(app: Celery, rows: list[dict[str, object]]) -> list[AsyncResult]:
    """Send each row as a job of its own, many in one round trip."""
    with app.producer_or_acquire() as producer, producer.batch(max_size=MESSAGES_PER_TRIP):
        return [ingest(app, [row], producer=producer) for row in rows]


if __name__ == "__main__":
    main(*sys.argv[1:])
