"""The doctor finds each trouble when that very trouble is planted, and says what mends it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from redis import Redis

from config import Settings, parse
from postgres.server import ServerFacts
from tests.acceptance.old_redis import OldRedis
from tests.files import write
from tests.workers import ROOT
from worker.doctor.broker import look_at_broker, of_redis
from worker.doctor.database import look_at_database, of_server, seen_by_workers
from worker.doctor.finding import Finding, Level, worst
from worker.doctor.folders import look_at_folders
from worker.doctor.workers import Crew, look_at_pools, look_at_queues
from worker.embedded import EmbeddedValkey
from worker.kinds import queues_of
from worker.transport.keys import Keys

NOWHERE = "postgresql://postgres@127.0.0.1:1/nowhere"

Configure = Callable[..., Settings]


@pytest.fixture
def configure(worker_env: dict[str, str]) -> Configure:
    """Make the settings of a deployment on this test's servers, some of them changed."""
    return lambda **changed: parse(
        worker_env | {f"CELERIAC_{name.upper()}": value for name, value in changed.items()}
    )


@pytest.fixture
def redis(valkey_server: EmbeddedValkey, broker_url: str) -> Iterator[Redis]:
    """The broker as it is."""
    assert broker_url
    with valkey_server.client() as client:
        yield client


def execute(url: str, *statements: str) -> None:
    """Run statements of the test's own, each committed."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for one in statements:
            cursor.execute(one)


def told(findings: Iterator[Finding], words: str) -> Finding:
    """Return the one finding whose sentence has these words."""
    seen = list(findings)
    (found,) = [one for one in seen if words in one.sentence] or [None]
    assert found is not None, f"{words!r} is in none of {[one.sentence for one in seen]}"
    return found


@contextmanager
def configured(redis: Redis, **wanted: str) -> Iterator[None]:
    """Change settings of the broker's server for as long as the context lasts."""
    names = [name.replace("_", "-") for name in wanted]
    before = {name: redis.config_get(name)[name] for name in names}
    for name, value in zip(names, wanted.values(), strict=True):
        redis.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            redis.config_set(name, value)


# PostgreSQL


def test_a_database_that_is_away_is_named_without_its_password(configure: Configure) -> None:
    """Who cannot be asked is named with the setting that says where it is."""
    secret = NOWHERE.replace("postgres@", "postgres:secret@")

    found = told(look_at_database(configure(database_url=secret)), "cannot be asked")

    assert (Level.PROBLEM, True) == (found.level, "CELERIAC_DATABASE_URL" in (found.remedy or ""))
    assert "secret" not in found.sentence


def test_missing_and_later_migrations(configure: Configure, empty_database: str) -> None:
    """An empty database needs `migrate`; one of a later version is only mentioned."""
    empty = told(look_at_database(configure(database_url=empty_database)), "missing")
    settings = configure()
    execute(
        settings.database_url.get_secret_value(),
        "INSERT INTO celeriac.migration (number, name) VALUES (9999, 'of_tomorrow')",
    )
    later = told(look_at_database(settings), "a later version")

    assert (Level.PROBLEM, "python -m worker migrate") == (empty.level, empty.remedy)
    assert (Level.OK, True) == (later.level, "9999" in later.sentence)


def test_a_server_that_promises_too_little(configure: Configure, database: str) -> None:
    """fsync off (as the tests' server has it), synchronous_commit off, and read-only are told."""
    name = database.partition("?")[0].rpartition("/")[2]
    execute(
        database,
        f"ALTER DATABASE {name} SET synchronous_commit = off",
        f"ALTER DATABASE {name} SET default_transaction_read_only = on",
    )

    settings = configure()

    assert Level.PROBLEM is told(look_at_database(settings), "fsync is off").level
    assert Level.WARNING is told(look_at_database(settings), "synchronous_commit is off").level
    assert Level.PROBLEM is told(look_at_database(settings), "read-only").level


def test_a_table_that_its_target_does_not_fit(configure: Configure, tmp_path: Path) -> None:
    """The catalog is compared with the database, as `targets check` does; mistakes in it too."""
    folder = tmp_path / "catalog"
    folder.mkdir()
    settings = configure(catalog=str(folder))
    write(folder / "targets.toml", '[gone]\ntable = "nowhere.gone"\n')
    gone = told(look_at_database(settings), "nowhere.gone does not exist")
    write(folder / "targets.toml", "[broken]\ntable = 5\n")
    broken = [one for one in look_at_database(settings) if one.about == "catalog"]

    assert "target gone" == gone.about
    assert "python -m worker targets check gone" in (gone.remedy or "")
    assert [Level.PROBLEM] == [one.level for one in broken]


def test_a_held_target_and_a_late_outbox(configure: Configure, database: str) -> None:
    """Held targets have their reason and `resume`; due jobs that no relay takes, the relay."""
    execute(
        database,
        "INSERT INTO celeriac.target_hold (target, reason) VALUES ('flights', 'no such column')",
        'SELECT celeriac.enqueue(\'celeriac.ingest\', \'{"target": "flights", "rows": [{}]}\')',
        "UPDATE celeriac.outbox SET run_at = now() - interval '2 minutes'",
    )

    held = told(look_at_database(configure()), "no such column")
    nobody = told(look_at_database(configure()), "1 job wait for one")
    execute(
        database,
        "INSERT INTO celeriac.relay_epoch (epoch, relay) VALUES (gen_random_uuid(), 'alive')",
    )
    late = told(look_at_database(configure()), "in no queue")
    execute(database, "DELETE FROM celeriac.outbox")
    well = told(look_at_database(configure()), "none late, 1 relay")
    execute(database, "UPDATE celeriac.relay_epoch SET seen_at = now() - interval '1 minute'")
    missing = told(look_at_database(configure()), "no relay runs")

    assert (Level.WARNING, "python -m worker targets resume flights") == (held.level, held.remedy)
    assert "start one: python -m worker relay" == nobody.remedy == missing.remedy
    assert [Level.PROBLEM, Level.PROBLEM, Level.OK, Level.WARNING] == [
        one.level for one in (nobody, late, well, missing)
    ]


def test_more_connections_than_the_server_has(configure: Configure) -> None:
    """The pools of our workers' children are compared with what PostgreSQL has left."""
    settings, ours = configure(pool_size="64"), {"celeriac.ingest": "celeriac.ingest"}
    facts, _ = seen_by_workers(settings)
    queues = {"one@host": frozenset({"celeriac.ingest"}), "other@host": frozenset({"celery"})}
    crew = Crew(queues, {"one@host": 2, "other@host": 900})

    (found,) = look_at_pools(settings, ours, crew, facts)
    (well,) = look_at_pools(configure(), ours, crew, facts)

    assert (Level.PROBLEM, Level.OK) == (found.level, well.level)
    assert "2 children of 1 worker may open 128 connections" in found.sentence


def test_sessions_of_others_are_counted_by_any_role(configure: Configure, database: str) -> None:
    """A role that may not see other roles' sessions in full counts them all the same."""
    role = f"plain_{uuid4().hex[:8]}"
    execute(database, f"CREATE ROLE {role} LOGIN")
    plain = configure(database_url=database.replace("//postgres@", f"//{role}@"))
    before, _ = seen_by_workers(plain)
    with ExitStack() as sessions:
        for _ in range(10):
            sessions.enter_context(closing(psycopg2.connect(database)))
        during, _ = seen_by_workers(plain)
    execute(database, f"DROP ROLE {role}")

    assert before is not None
    assert during is not None
    # Other sessions of the server come and go.
    assert during.others - before.others >= 8


def test_tasks_of_the_outbox_are_known_by_name(configure: Configure, database: str) -> None:
    """A job whose task was misspelt is pushed where nobody looks: its queue is looked at too."""
    execute(database, "SELECT celeriac.enqueue('own.tsak', '{}') FROM generate_series(1, 3)")

    _, tasks = seen_by_workers(configure())

    assert {"own.tsak"} == tasks


def test_a_role_that_may_not_look(configure: Configure, database: str) -> None:
    """A refusal is not told as a server that is away, and keeps no other look from looking."""
    role = f"blind_{uuid4().hex[:8]}"
    execute(database, f"CREATE ROLE {role} LOGIN")
    settings = configure(database_url=database.replace("//postgres@", f"//{role}@"))

    found = list(look_at_database(settings))

    execute(database, f"DROP ROLE {role}")
    words = [one for one in found if "may not look" in one.sentence]
    assert words
    assert all("GRANT" in (one.remedy or "") for one in words)


@pytest.mark.parametrize(
    ("changed", "words", "level"),
    [
        ({"version_number": 130_012, "version": "13.12"}, "too old: 14", Level.PROBLEM),
        ({"is_replica": True}, "it is a replica", Level.PROBLEM),
        ({}, "", Level.OK),
    ],
)
def test_servers_that_are_not_at_hand(changed: dict[str, Any], words: str, level: Level) -> None:
    """An old PostgreSQL and a replica, as they would describe themselves."""
    well = ServerFacts(180_001, "18.1", True, True, False, False, 97, 3)

    found = list(of_server(replace(well, **changed)))

    assert level is worst(found)
    assert any(words in one.sentence for one in found)


# Redis


def test_a_broker_that_forgets_or_evicts(configure: Configure, redis: Redis) -> None:
    """No append-only file, an eviction policy, a memory that is nearly full: each is a problem."""
    with configured(redis, appendonly="no"):
        forgets = told(look_at_broker(configure()), "appendonly is off")
    with configured(redis, maxmemory_policy="allkeys-lru"):
        would = told(look_at_broker(configure()), "as soon as somebody sets maxmemory")
        used = int(redis.info("memory")["used_memory"])
        with configured(redis, maxmemory=str(used * 100)):
            evicts = told(look_at_broker(configure()), "it throws jobs away")
    with configured(redis, maxmemory=str(int(used * 1.02))):
        full = told(look_at_broker(configure()), "of its memory")

    assert (Level.PROBLEM, Level.WARNING) == (forgets.level, would.level)
    assert (Level.PROBLEM, Level.PROBLEM) == (evicts.level, full.level)
    assert "appendonly yes" in (forgets.remedy or "")
    assert "maxmemory-policy noeviction" in (evicts.remedy or "")


def test_a_broker_that_is_old_away_or_a_replica(
    configure: Configure, redis: Redis, valkey_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """A Redis before 6.2, one that does not answer, and one that follows another are told."""
    with OldRedis(valkey_server.socket, tmp_path) as old:
        aged = told(look_at_broker(configure(broker_url=old.url)), "is too old")
    redis.replicaof("127.0.0.1", "1")
    try:
        follows = told(look_at_broker(configure()), "it is a replica")
    finally:
        redis.replicaof("NO", "ONE")
    nowhere = f"redis+socket://{tmp_path}/nobody.sock?virtual_host=0"
    away = told(look_at_broker(configure(broker_url=nowhere)), "cannot be asked")

    assert {Level.PROBLEM} == {one.level for one in (aged, follows, away)}


def test_jobs_of_a_worker_that_fell_silent(configure: Configure, redis: Redis) -> None:
    """A lease that nobody renewed, with jobs under it, is told with the worker's name."""
    silent = Keys("", "host:4711:9f86d081:15s")
    redis.zadd(silent.owners, {silent.owner: 1_000})
    redis.hset(silent.slabs, "1", "celeriac.ingest")
    redis.lpush(silent.slab(1), "{}", "{}")

    found = told(look_at_broker(configure()), "host:4711:9f86d081:15s")

    redis.zadd(silent.owners, {silent.owner: (redis.time()[0] - 20) * 1000})
    just_now = told(look_at_broker(configure()), "host:4711:9f86d081:15s")
    assert (Level.PROBLEM, Level.WARNING) == (found.level, just_now.level)
    assert "has 2 jobs" in found.sentence


@pytest.mark.parametrize(
    ("said", "words", "level"),
    [
        ({"aof_last_write_status": "err"}, "could not write its append-only file", Level.PROBLEM),
        ({"rdb_last_bgsave_status": "err"}, "its last snapshot (RDB) failed", Level.WARNING),
    ],
)
def test_a_disk_that_refused_redis(said: dict[str, Any], words: str, level: Level) -> None:
    """What Redis says of its files after a full disk, as its INFO words it."""
    info = {"redis_version": "7.2.4", "role": "master", "aof_enabled": 1} | said

    assert level is told(of_redis(info, "here"), words).level


def test_jobs_where_nobody_looks(configure: Configure, redis: Redis) -> None:
    """Celery's default queue, ours, and any that somebody declared: who waits there is told."""
    redis.lpush("celery", "{}")
    redis.lpush("celeriac.report", "{}", "{}")
    redis.lpush("celeriac.report\x06\x163", "{}")
    redis.sadd("_kombu.binding.elsewhere", "mails\x06\x16\x06\x16mails")
    redis.lpush("mails", "{}")
    redis.lpush("celeriac.ingets", "{}")
    settings = configure()
    crew = Crew({"one@host": frozenset({"celeriac.ingest"})}, {})

    found = {
        one.about: one for one in look_at_queues(settings, queues_of(()), crew, ["celeriac.ingets"])
    }

    unconsumed = "waiting, and no worker consumes it"
    assert {
        "queue celery": (Level.PROBLEM, f"1 job {unconsumed}"),
        "queue celeriac.report": (Level.PROBLEM, f"3 jobs {unconsumed}"),
        "queue mails": (Level.PROBLEM, f"1 job {unconsumed}"),
        "queue celeriac.ingets": (Level.PROBLEM, f"1 job {unconsumed}"),
        "queue celeriac.file": (Level.WARNING, "no worker consumes it"),
        "queue celeriac.ingest": (Level.OK, "0 jobs waiting, it is consumed"),
    } == {name: (one.level, one.sentence) for name, one in found.items()}
    assert "queue='celeriac.ingest'" in (found["queue celery"].remedy or "")
    assert "-Q celeriac.report" in (found["queue celeriac.report"].remedy or "")


# Files, libraries, and all together


def test_folders_that_jobs_cannot_use(configure: Configure, tmp_path: Path) -> None:
    """A place for reports that is no folder, and an inbox that is not there."""
    write(tmp_path / "file", "in the way")
    settings = configure(artifacts=f"{tmp_path}/file/reports", inbox=f"{tmp_path}/nothing")

    found = list(look_at_folders(settings))

    assert [("artifacts", Level.PROBLEM), ("inbox", Level.PROBLEM)] == [
        (one.about, one.level) for one in found
    ]
    assert f"{tmp_path}/file is a file" in found[0].sentence
    assert f"mkdir -p {tmp_path}/nothing" in (found[1].remedy or "")
    assert Level.OK is worst(look_at_folders(configure()))


def test_wrong_libraries_and_settings_are_told_by_the_command(tmp_path: Path) -> None:
    """A Celery of another version, found first on the path, and each wrong setting: status 2."""
    planted = tmp_path / "celery-5.6.0.dist-info"
    planted.mkdir()
    write(planted / "METADATA", "Metadata-Version: 2.1\nName: celery\nVersion: 5.6.0\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "client" / "src")])
    environment = {name: one for name, one in os.environ.items() if "CELERIAC" not in name}

    said = subprocess.run(
        [sys.executable, "-m", "worker", "doctor"],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": path, "CELERIAC_POOL_SIZE": "many"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 2 == said.returncode, said
    assert "problem  celery: celery is 5.6.0, but 5.7.x is needed" in said.stdout
    assert "→ pip install -r requirements.txt" in said.stdout
    assert "CELERIAC_POOL_SIZE is wrong" in said.stdout
    assert "CELERIAC_DATABASE_URL is not set" in said.stdout
