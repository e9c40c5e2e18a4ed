"""The figures beside Flower's own are those of the servers, and outlive their absence."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from redis import Redis

from postgres.pool import Pool, PoolLimits
from postgres.set_aside import count_set_aside
from tests.workers import ROOT
from worker.embedded import EmbeddedValkey
from worker.metrics.figures import Ages
from worker.metrics.watcher import Watcher
from worker.relay.broker import Broker
from worker.transport.keys import Keys

QUEUE = "celeriac.ingest"
MAKE = """
    INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker, error) VALUES
        ('a', 'celeriac.ingest', 'gone', 'dead', 1, '', 'w', 'target ''gone'' is unknown'),
        ('b', 'celeriac.ingest', 'gone', 'dead', 1, '', 'w', 'target ''lost'' is unknown'),
        ('c', 'celeriac.ingest', 'shut', 'held', 1, '', 'w', 'no table'),
        ('d', 'celeriac.ingest', 'open', 'dead', 1, '', 'w', 'quarantined below');
    INSERT INTO celeriac.quarantine (job_id, row_number, target, row, sqlstate, message)
        SELECT 'd', n, 'open', '{}', CASE WHEN n < 3 THEN '23502' ELSE '22P02' END, 'words'
        FROM generate_series(1, 5) AS n;
    SELECT celeriac.enqueue('celeriac.report', '{"name": "r"}');
"""


@pytest.fixture
def redis(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker as it is."""
    assert broker_url
    with valkey_server.client() as client:
        yield client


def scraped(watcher: Watcher) -> dict[str, float]:
    """Look once, and return what Prometheus would read."""
    watcher.look()
    registry = CollectorRegistry()
    registry.register(watcher)
    lines = generate_latest(registry).decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_figures_are_those_of_the_servers(redis: Redis, broker_url: str, database: str) -> None:
    """Depth, age, reserved jobs, dead leases, outbox, quarantine, burials, each by its labels."""
    sent = datetime.now(UTC) - timedelta(minutes=10)
    redis.lpush(QUEUE, json.dumps({"headers": {"enqueued_at": sent.isoformat()}}), "no message")
    silent = Keys("", "host:4711:9f86d081:15s")
    redis.zadd(silent.owners, {silent.owner: 1_000})
    redis.hset(silent.slabs, "1", QUEUE)
    redis.lpush(silent.slab(1), "{}", "{}", "{}")
    with closing(psycopg2.connect(database)) as connection, connection, connection.cursor() as one:
        one.execute(MAKE)
    broker, pool = Broker(broker_url), Pool(database, PoolLimits(size=1))

    seen = scraped(Watcher(broker, pool, frozenset({QUEUE})))

    broker.close()
    pool.close()
    assert 600 <= seen.pop(f'celeriac_queue_oldest_seconds{{queue="{QUEUE}"}}') < 4000
    assert 0 <= seen.pop("celeriac_outbox_oldest_seconds") < 4000
    assert {
        'celeriac_up{server="redis"}': 1,
        'celeriac_up{server="postgresql"}': 1,
        f'celeriac_queue_jobs{{queue="{QUEUE}"}}': 2,
        "celeriac_reserved_jobs": 3,
        "celeriac_expired_leases": 1,
        "celeriac_outbox_due_jobs": 1,
        'celeriac_quarantined_rows{reason="22P02",subject="open"}': 3,
        'celeriac_quarantined_rows{reason="23502",subject="open"}': 2,
        'celeriac_buried_jobs{reason="target ? is unknown",subject="gone"}': 2,
        'celeriac_buried_jobs{reason="quarantined below",subject="open"}': 1,
        'celeriac_held_jobs{reason="no table",subject="shut"}': 1,
    } == seen


def test_what_nobody_can_read_ends_nothing(redis: Redis, broker_url: str, database: str) -> None:
    """Names that are no text, and fields that are no numbers, are counted as they are."""
    redis.sadd("_kombu.binding.odd", b"\xff\x06\x16\x06\x16\xff")
    silent = Keys("", "host:4711:9f86d081:15s")
    redis.zadd(silent.owners, {silent.owner: 1_000, b"\xfe": 1_000})
    redis.hset(silent.slabs, "no number", QUEUE)
    broker, pool = Broker(broker_url), Pool(database, PoolLimits(size=1))

    seen = scraped(Watcher(broker, pool, frozenset({QUEUE})))

    broker.close()
    pool.close()
    assert 1 == seen['celeriac_up{server="redis"}']


def test_old_figures_are_none(broker_url: str, database: str) -> None:
    """What was seen too long ago is not told as if it were so."""
    now = [0.0]
    broker, pool = Broker(broker_url), Pool(database, PoolLimits(size=1))
    watcher = Watcher(broker, pool, frozenset({QUEUE}), clock=lambda: now[0])
    watcher.look()
    fresh = {family.name for family in watcher.collect()}
    now[0] = 31.0
    old = {family.name for family in watcher.collect()}
    now[0] = 1_000.0
    broker.close()
    pool.close()

    assert {"celeriac_queue_jobs", "celeriac_outbox_due_jobs", "celeriac_held_jobs"} <= fresh
    assert {"celeriac_up", "celeriac_held_jobs", "celeriac_buried_jobs"} <= old
    assert not {"celeriac_queue_jobs", "celeriac_outbox_due_jobs"} & old
    assert {"celeriac_up"} == {family.name for family in watcher.collect()}


def test_small_groups_are_told_together(database: str) -> None:
    """However many reasons there are, no kind pushes out another, and the sum is whole."""
    make = """
        INSERT INTO celeriac.job (id, task, subject, state, batch, digest, worker, error)
        SELECT 'a' || n, 'celeriac.ingest', 'table_' || n, 'dead', 1, ''::bytea, 'w', 'no table'
        FROM generate_series(1, 150) AS n
        UNION ALL
        SELECT 'b' || n, 'celeriac.ingest', 'one', 'dead', 1, ''::bytea, 'w',
            'no object ' || md5(n::text) || ' at ' || gen_random_uuid()
        FROM generate_series(1, 50) AS n
        UNION ALL
        SELECT 'held', 'celeriac.ingest', 'shut', 'held', 1, ''::bytea, 'w', 'no table'
    """
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(make)
        found = count_set_aside(cursor)

    dead = [one for one in found if one.what == "dead"]
    assert (200, 101) == (sum(one.count for one in dead), len(dead))
    assert [50] == [one.count for one in dead if one.subject == "one"]
    assert 1 == len([one for one in found if one.what == "held"])


def test_servers_that_are_away_are_told_so() -> None:
    """Whoever scrapes gets an answer with neither server, and no stale figures."""
    broker = Broker("redis+socket:///nowhere/valkey.sock?virtual_host=0")
    pool = Pool("postgresql://postgres@127.0.0.1:1/nowhere", PoolLimits(size=1))

    seen = scraped(Watcher(broker, pool, frozenset({QUEUE})))

    assert {'celeriac_up{server="redis"}': 0, 'celeriac_up{server="postgresql"}': 0} == seen


def test_age_of_a_message_that_does_not_tell_it() -> None:
    """It counts from when it was first seen at the end of its queue; another one begins anew."""
    now = [1_000.0]
    ages = Ages(clock=lambda: now[0])
    told = []
    for seconds, messages in ((0, [b"a"]), (30, [b"a"]), (30, [b"a", b"b"]), (5, [b"b"]), (5, [])):
        now[0] += seconds
        told.append(ages.oldest_seconds(QUEUE, messages))

    assert [0, 30, 60, 5, 0] == told


@pytest.mark.parametrize("sent", ["2999-01-01T00:00:00+00:00", "2020-01-01T00:00:00", "never", 5])
def test_age_that_cannot_be_believed(sent: object) -> None:
    """A time to come, one without its offset, and no time at all count as now."""
    message = json.dumps({"headers": {"enqueued_at": sent}}).encode()

    assert Ages().oldest_seconds(QUEUE, [message]) < 60


def test_alerts_speak_of_figures_that_exist(database: str, broker_url: str) -> None:
    """Every name of ours in the rules for Prometheus is one that a scrape gives."""
    broker, pool = Broker(broker_url), Pool(database, PoolLimits(size=1))
    watcher = Watcher(broker, pool, frozenset({QUEUE}))
    watcher.look()
    given = {family.name for family in watcher.collect()}
    broker.close()
    pool.close()

    rules = yaml.safe_load((ROOT / "monitoring" / "alerts.yml").read_text())["groups"][0]["rules"]
    asked = {name for rule in rules for name in re.findall(r"celeriac_\w+", rule["expr"])}

    assert len(rules) == len({rule["alert"] for rule in rules})
    assert asked <= given
