"""What reports read: flights in databases of their own, filled once; and the workers that do it."""

from contextlib import closing
from functools import cache, partial
from pathlib import Path

import psycopg2
from celery import Celery

from bench.flights import write_file
from bench.ground import Ground
from bench.progress import say
from bench.queues import ListQueue
from bench.servers import TEMPLATE, Place, execute
from bench.subjects.subject import ROOT, Home, Subject

REPORT = QUEUE = "celeriac.report"
CATALOG = ROOT / "bench" / "report_catalog"
FLIGHTS = "bench_report_flights"
#: Flights of the month that is repeated.
MONTH_ROWS = 27_000
_COPY = "COPY {} FROM STDIN (FORMAT csv, HEADER)"
#: For long reports of millions of rows; stays below what the dedupe horizon allows.
_REPORT_SECONDS = "1800"


def flights_url(ground: Ground, rows: int) -> str:
    """Return the URL of a database with so many flights to read; of one run, filled once."""
    return _filled(ground, rows)


@cache
def _filled(ground: Ground, rows: int) -> str:
    name = f"bench_reports_{rows}"
    servers = ground.servers
    execute(servers.postgres.url(), "CREATE DATABASE {} TEMPLATE {}", name, TEMPLATE)
    url = servers.postgres.url(name)
    say(f"{name}: filling")
    month = write_file(ground.folder / "month.csv", MONTH_ROWS)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        with month.open("rb") as file:
            cursor.copy_expert(_COPY.format("bench_flights"), file, 1 << 20)
        cursor.execute("SELECT * FROM bench_flights LIMIT 0")
        columns = [column.name for column in cursor.description or ()][1:]
        cursor.execute(f"CREATE TABLE {FLIGHTS} (LIKE bench_flights)")
        cursor.execute(
            f"INSERT INTO {FLIGHTS} SELECT again * %s + id, {', '.join(columns)}"  # noqa: S608 - our own names
            " FROM generate_series(0, %s) AS again, bench_flights LIMIT %s",
            (MONTH_ROWS, rows // MONTH_ROWS, rows),
        )
        connection.commit()
    # Nothing of it is left to be done, or to be found out, by who reads it first.
    execute(url, "VACUUM (FREEZE, ANALYZE)")
    execute(url, "CHECKPOINT")
    return url


def reporter(read_url: str, artifacts: Path, children: int = 1) -> Subject:
    """Return the worker that makes reports of these flights in a folder."""
    command = ("-m", "celery", "-A", "worker.app", "worker", "-Q", QUEUE, "-c", str(children))
    return Subject(
        name="celeriac_report",
        processes=((*command, "-n", "report@localhost", "--loglevel", "INFO"),),
        producer=lambda _place, _count: (),
        queue=lambda redis, _: ListQueue(redis, QUEUE),
        env=partial(_env, read_url, artifacts, children),
        ready=" ready.",
        home=Home.PRODUCT,
    )


def sender(place: Place) -> Celery:
    """Return the stock Celery that enqueues; close it."""
    return Celery(broker=place.celery_url(0), backend=place.celery_url(1), set_as_current=False)


def _env(read_url: str, artifacts: Path, children: int, place: Place) -> dict[str, str]:
    return {
        "CELERIAC_BROKER_URL": place.celery_url(0),
        "CELERIAC_RESULT_URL": place.celery_url(1),
        "CELERIAC_DATABASE_URL": place.database_url,
        "CELERIAC_REPORT_DATABASE_URL": read_url,
        "CELERIAC_REPORT_SECONDS": _REPORT_SECONDS,
        "CELERIAC_CATALOG": str(CATALOG),
        "CELERIAC_ARTIFACTS": artifacts.as_uri(),
        "CELERIAC_CONCURRENCY": str(children),
    }
