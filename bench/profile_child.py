"""Measure a child alone: microseconds a one-row job, by stage, of it and of PostgreSQL.

``python -m bench.profile_child [--jobs 1000] [--batches 60] [--careful]`` starts
a PostgreSQL of its own, runs batches through what a pool calls in a child, in
this very process, and prints CPU time as the system counts it. Nothing of
Celery or Redis is in it.
"""

import argparse
import base64
import gc
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg2

from postgres import Cursor
from postgres.migrate import migrate
from postgres.pool import PoolLimits
from postgres.session import Session
from worker import unpack
from worker.child import Child, Plan, open_child
from worker.delivery import Parcel, Remarks
from worker.embedded import EmbeddedPostgres
from worker.kinds import load_kinds
from worker.process import close_process, open_process, run_batch

INGEST = "celeriac.ingest"
TABLE = """
CREATE TABLE event (
    id bigint NOT NULL, customer text, kind text, amount numeric(12,2), at timestamptz, note text
)
"""
TARGETS = '[event]\ntable = "public.event"\n'
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
WARM_BATCHES = 5

_numbers = count()


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU nanoseconds of this process and of its PostgreSQL backends, and the time by the clock."""

    child: int
    postgres: int
    clock: int

    @classmethod
    def so_far(cls, backends: list[int]) -> "Spent":
        """Read the counters now."""
        postgres = sum(_cpu_of(pid) for pid in backends)
        return cls(time.process_time_ns(), postgres, time.monotonic_ns())

    def a_job_since(self, before: "Spent", jobs: int) -> str:
        """Say what a job took between two readings."""
        parts = {
            "child": self.child - before.child,
            "PostgreSQL": self.postgres - before.postgres,
            "clock": self.clock - before.clock,
        }
        return "  ".join(f"{name} {spent / jobs / 1000:6.2f}" for name, spent in parts.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of a batch")
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--careful", action="store_true", help="take the careful way")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _database(Path(folder)) as url:
        plan = _plan(Path(folder), url, options.jobs)
        parcels = [_parcel(options.jobs, careful=options.careful) for _ in range(options.batches)]
        jobs = options.jobs * (options.batches - WARM_BATCHES)
        print(f"µs a job, {jobs} one-row jobs in batches of {options.jobs}")
        _measure_whole(plan, url, parcels, jobs)
        _measure_stages(plan, parcels[WARM_BATCHES:], jobs)


def _measure_whole(plan: Plan, url: str, parcels: list[Parcel], jobs: int) -> None:
    open_process(plan, load_kinds(()))
    for parcel in parcels[:WARM_BATCHES]:
        run_batch(parcel)
    backends = _backends(url)
    wal, before, slowest = _wal(url), Spent.so_far(backends), []
    for parcel in parcels[WARM_BATCHES:]:
        answer = run_batch(parcel)
        slowest.append(answer.seconds * 1000)
        if answer.settlements:
            raise SystemExit(f"not all committed whole: {next(iter(answer.settlements.values()))}")
    after = Spent.so_far(backends)
    print(f"  whole batches     {after.a_job_since(before, jobs)}")
    print(f"  WAL               {(_wal(url) - wal) / jobs:.0f} bytes a job")
    slowest.sort()
    print(f"  a batch           p50 {slowest[len(slowest) // 2]:.2f} ms  max {slowest[-1]:.2f} ms")
    close_process()


def _measure_stages(plan: Plan, parcels: list[Parcel], jobs: int) -> None:
    child: Child = open_child(plan, load_kinds(()))
    kind, reader = child.kinds[INGEST], child.readers[INGEST]
    gc.freeze()
    decoded = [[unpack.decoded(body) for body in parcel.bodies] for parcel in parcels]
    with closing(psycopg2.connect(plan.database_url)) as connection:

        @contextmanager
        def look() -> Iterator[Cursor]:
            with connection.cursor() as cursor:
                yield cursor

        read = [reader.read(parcel) for parcel in parcels]
        stages: dict[str, Callable[[], object]] = {
            "base64": lambda: [[unpack.decoded(b) for b in p.bodies] for p in parcels],
            "decode and digest": lambda: [
                reader.read(Parcel(INGEST, p.ids, list(bodies)))
                for p, bodies in zip(parcels, decoded, strict=True)
            ],
            "rows to inserts": lambda: [kind.write_whole(r.payloads, look) for r in read],
        }
        for name, run in stages.items():
            before = time.process_time_ns()
            run()
            print(f"  {name:18}child {(time.process_time_ns() - before) / jobs / 1000:6.2f}")
    child.close()


def _plan(folder: Path, url: str, jobs: int) -> Plan:
    (folder / "reports").mkdir()
    (folder / "targets.toml").write_text(TARGETS)
    return Plan(
        worker="bench:1",
        database_url=url,
        report_database_url=url,
        limits=PoolLimits(2),
        session=Session(),
        catalog=folder,
        artifacts=str(folder),
        inbox=None,
        report_seconds=10,
        batch_rows=max(jobs, 20_000),
    )


def _parcel(jobs: int, *, careful: bool) -> Parcel:
    ids, bodies = [], []
    for _ in range(jobs):
        number = next(_numbers)
        ids.append(_uuid7(number))
        row = {"id": number, "customer": f"c-{number % 97}", "kind": "paid", "note": "hello"}
        row |= {"amount": 12.5, "at": "2026-01-02T03:04:05Z"}
        body = json.dumps([[], {"target": "event", "rows": [row]}, EMBED]).encode()
        bodies.append(base64.b64encode(body).decode())
    # A second attempt is not ordinary, and so takes the careful way.
    remarks = {place: Remarks(attempts=2) for place in range(jobs)} if careful else {}
    return Parcel(INGEST, ids, list(bodies), remarks)


def _uuid7(number: int) -> str:
    text = f"{1_760_000_000_000 + number // 40:012x}7{number % 4096:03x}8{os.urandom(8).hex()[1:]}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    sizes = {"shared_buffers": "256MB", "max_wal_size": "4GB"}
    server = EmbeddedPostgres(folder / "server", settings=sizes)
    server.start()
    try:
        migrate(server.url())
        with closing(psycopg2.connect(server.url())) as connection, connection:
            connection.cursor().execute(TABLE)
        yield server.url()
    finally:
        server.remove()


def _ask(url: str, query: str) -> list[tuple[int]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def _backends(url: str) -> list[int]:
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'celeriac'"
    return [pid for (pid,) in _ask(url, query)]


def _wal(url: str) -> int:
    return int(_ask(url, "SELECT pg_current_wal_insert_lsn() - '0/0'")[0][0])


def _cpu_of(pid: int) -> int:
    # In nanoseconds, where psutil has hundredths of a second.
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


if __name__ == "__main__":
    main()
