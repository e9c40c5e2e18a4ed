"""How large the outbox becomes, and what a look at it costs: ``python -m bench.outbox_table``.

Jobs go through it a thousand at a time: enqueued in transactions of 100,
claimed and pushed by a relay, taken out by id in transactions of 500, as
batches of workers do. With ``--snapshot`` a transaction stays open beside it.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg2

from bench.servers import POSTGRES
from celeriac.contract import INGEST, QUEUES
from postgres.migrate import migrate
from postgres.pool import Pool, PoolLimits
from postgres.session import Session
from worker.embedded import EmbeddedPostgres, EmbeddedValkey
from worker.relay.broker import Broker
from worker.relay.relay import Relay

ROUND = 1_000
MARKS = 10
ENQUEUE = """
    SELECT count(*) FROM celeriac.enqueue_many('celeriac.ingest', array(
        SELECT jsonb_build_object('target', 'flights', 'rows', jsonb_build_array(
            jsonb_build_object('flight', number, 'carrier', 'CE', 'origin', 'JFK', 'dest', 'TXL')
        )) FROM generate_series(1, 100) AS number
    ))
"""
TAKE_OUT = "DELETE FROM celeriac.outbox WHERE id = ANY (%s)"
SIZES = """
    SELECT pg_relation_size('celeriac.outbox'), pg_indexes_size('celeriac.outbox'), n_dead_tup
    FROM pg_stat_user_tables WHERE relname = 'outbox'
"""
LOOK = """
    EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
    SELECT id FROM celeriac.outbox WHERE epoch IS NULL AND run_at <= statement_timestamp()
    AND run_at >= %s::timestamptz ORDER BY run_at, number LIMIT 1000 FOR UPDATE SKIP LOCKED
"""
LATELY, WHOLE = "(now() - interval '2 seconds')", "'-infinity'"


class _Message(msgspec.Struct):
    headers: dict[str, Any]


def main() -> None:
    """Measure, and print a line at each tenth of the jobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--snapshot", action="store_true", help="keep a transaction open beside it")
    asked = parser.parse_args()
    print("| jobs | table, MB | indexes, MB | dead rows | late look, pages, ms | whole look |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)) as (url, valkey):
        with closing(psycopg2.connect(url)) as old, old.cursor() as cursor:
            if asked.snapshot:
                cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
            _run(url, valkey, asked.jobs)
        _say(url, "after a VACUUM")


def _run(url: str, valkey: EmbeddedValkey, jobs: int) -> None:
    pool = Pool(url, PoolLimits(1), Session(application_name="bench relay"))
    broker = Broker(valkey.url(0))
    relay = Relay("bench", pool, broker, QUEUES)
    with closing(psycopg2.connect(url)) as connection, valkey.client(0) as redis:
        for number in range(1, jobs // ROUND + 1):
            for _ in range(ROUND // 100):
                with connection, connection.cursor() as cursor:
                    cursor.execute(ENQUEUE)
            relay.turn()
            for raws in iter(lambda: redis.rpop(QUEUES[INGEST], 500), None):
                ids = [msgspec.json.decode(raw, type=_Message).headers["id"] for raw in raws]
                with connection, connection.cursor() as cursor:
                    cursor.execute(TAKE_OUT, (ids,))
            if number % (jobs // ROUND // MARKS) == 0:
                _say(url, str(number * ROUND))
    broker.close()
    pool.close()


def _say(url: str, words: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        if not words.isdigit():
            cursor.execute("VACUUM celeriac.outbox")
        cursor.execute(SIZES)
        table, indexes, dead = cursor.fetchone() or (0, 0, 0)
        looks = [_look(cursor, since) for since in (LATELY, WHOLE)]
    sizes = " | ".join(f"{size / 1e6:.1f}" for size in (table, indexes))
    print(f"| {words} | {sizes} | {dead} | {looks[0]} | {looks[1]} |", flush=True)


def _look(cursor: Any, since: str) -> str:
    cursor.execute(LOOK % since)
    ((plan,),) = cursor.fetchall()
    pages = sum(plan[0]["Plan"][name] for name in ("Shared Hit Blocks", "Shared Read Blocks"))
    return f"{pages}, {plan[0]['Execution Time']:.2f}"


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[str, EmbeddedValkey]]:
    postgres, valkey = EmbeddedPostgres(folder, settings=POSTGRES), EmbeddedValkey(folder)
    try:
        postgres.start()
        valkey.start()
        with closing(psycopg2.connect(postgres.url())) as connection:
            connection.autocommit = True
            connection.cursor().execute("CREATE DATABASE bench")
        migrate(postgres.url("bench"))
        yield postgres.url("bench"), valkey
    finally:
        valkey.remove()
        postgres.remove()


if __name__ == "__main__":
    main()
