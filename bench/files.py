"""One file into one table: by COPY, by COPY and an upsert written by hand, and by a file job."""

import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg2
from celery import Celery

from bench.crew import Crew, working
from bench.drain import IDLE_SECONDS
from bench.flights import BAD_EVERY
from bench.ground import Ground, RunFailed
from bench.measure import peak_memory_mb_of
from bench.queues import ListQueue
from bench.servers import Place
from bench.subjects.celeriac import CATALOG, produce
from bench.subjects.subject import Home, Subject
from bench.target import Target

INGEST_FILE, QUEUE = "celeriac.ingest_file", "celeriac.file"
TABLE = "bench_flights"
UPSERT = "bench_flights_upsert"
#: How a table is filled before an upsert: every other row is there already, with other values.
_HALF = f"INSERT INTO {TABLE} SELECT * FROM there WHERE id % 2 = 0"  # noqa: S608 - our own names
_THERE = f"CREATE TEMP TABLE there (LIKE {TABLE})"
_COPY = "COPY {} FROM STDIN (FORMAT csv, HEADER)"
_BUFFER_BYTES = 1 << 20
_POLL_SECONDS = 0.01
LEAST_ROWS_PER_SECOND = 2_000
PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of one load."""

    rows: int
    seconds: float
    #: Of the child process that did it; 0 where there is none.
    peak_mb: float = 0.0

    @property
    def rows_per_s(self) -> float:
        """Rate from the command to the commit."""
        return self.rows / self.seconds


def copy(place: Place, path: Path, rows: int) -> Loaded:
    r"""Copy a file into the empty table, as psql's ``\\copy`` does: the floor of all loads."""
    with closing(psycopg2.connect(place.database_url)) as connection:
        began = time.monotonic()
        with connection.cursor() as cursor, path.open("rb") as file:
            cursor.copy_expert(_COPY.format(TABLE), file, _BUFFER_BYTES)
        connection.commit()
        return Loaded(rows, time.monotonic() - began)


def copy_upsert(place: Place, path: Path, rows: int) -> Loaded:
    """Copy a file beside a table that has every other row, and upsert from there, by hand."""
    with closing(psycopg2.connect(place.database_url)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {TABLE} LIMIT 0")  # noqa: S608 - our own names
            columns = [column.name for column in cursor.description or ()]
            changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns[1:])
            began = time.monotonic()
            cursor.execute(f"{_THERE} ON COMMIT DROP")
            with path.open("rb") as file:
                cursor.copy_expert(_COPY.format("there"), file, _BUFFER_BYTES)
            cursor.execute(
                f"INSERT INTO {TABLE} SELECT DISTINCT ON (id) * FROM there ORDER BY id "  # noqa: S608
                f"ON CONFLICT (id) DO UPDATE SET {changes}"
            )
        connection.commit()
        return Loaded(rows, time.monotonic() - began)


def fill_half(place: Place, path: Path) -> None:
    """Put every other row of a file into the table, with another distance."""
    with closing(psycopg2.connect(place.database_url)) as connection:
        with connection.cursor() as cursor, path.open("rb") as file:
            cursor.execute(f"{_THERE} ON COMMIT DROP")
            cursor.copy_expert(_COPY.format("there"), file, _BUFFER_BYTES)
            cursor.execute("UPDATE there SET distance = 0 WHERE id % 2 = 0")
            cursor.execute(_HALF)
        connection.commit()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM ANALYZE {TABLE}")
            cursor.execute("CHECKPOINT")


def load(ground: Ground, place: Place, target: str, path: Path, rows: int) -> Loaded:
    """Have a worker load a file, and read from the ledger how it ended."""
    subject = _subject(path.parent)
    with (
        working(subject, place, ground) as crew,
        Celery(broker=place.celery_url(), set_as_current=False) as app,
        closing(psycopg2.connect(place.database_url)) as connection,
    ):
        connection.autocommit = True
        time.sleep(IDLE_SECONDS)
        began = time.monotonic()
        job = app.send_task(
            INGEST_FILE,
            kwargs={"target": target, "url": path.name},
            queue=QUEUE,
            ignore_result=True,
        ).id
        patience = began + PATIENCE_SECONDS + rows / LEAST_ROWS_PER_SECOND
        state, found = _wait(connection, job, crew, patience)
        seconds = time.monotonic() - began
        if state != "committed" or found != rows:
            raise RunFailed(f"the job is {state}, with {found} of {rows} rows:\n{crew.tail()}")
        return Loaded(rows, seconds, max(map(peak_memory_mb_of, crew.child_pids)))


def quarantined(place: Place) -> int:
    """Count the rows that were set aside."""
    with Target(place.database_url) as target:
        return int(target.ask("SELECT count(*) FROM celeriac.quarantine"))


def verify_bad(place: Place, rows: int) -> None:
    """Raise RunFailed unless exactly the bad rows of a file were set aside."""
    expected, found = rows // BAD_EVERY, quarantined(place)
    if found != expected:
        raise RunFailed(f"{found} rows are in the quarantine, not {expected}")


def _wait(
    connection: "psycopg2.extensions.connection", job: str, crew: Crew, deadline: float
) -> tuple[str, int]:
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT state, rows FROM celeriac.job WHERE id = %s", (job,))
            found = cursor.fetchone()
            if found and found[0] != "working":
                return str(found[0]), int(found[1])
            crew.check(deadline, "to load a file")
            time.sleep(_POLL_SECONDS)


def _subject(inbox: Path) -> Subject:
    worker = ("-m", "celery", "-A", "worker.app", "worker", "-Q", QUEUE)
    return Subject(
        name="celeriac_file",
        processes=((*worker, "-c", "1", "-n", "file@localhost", "--loglevel", "INFO"),),
        producer=partial(produce, "uuid4", "ignore"),
        queue=lambda redis, _: ListQueue(redis, QUEUE),
        env=lambda place: {
            "CELERIAC_BROKER_URL": place.celery_url(0),
            "CELERIAC_RESULT_URL": place.celery_url(1),
            "CELERIAC_DATABASE_URL": place.database_url,
            "CELERIAC_CATALOG": str(CATALOG),
            "CELERIAC_CONCURRENCY": "1",
            "CELERIAC_INBOX": str(inbox),
        },
        ready=" ready.",
        home=Home.PRODUCT,
    )
