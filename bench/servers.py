"""The real servers of one run, as durable as in production, and an empty place for every drain."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql
from redis import Redis

from bench.delay import Delayed, delayed
from postgres.migrate import migrate
from worker.embedded import EmbeddedPostgres, EmbeddedValkey

TABLES = Path(__file__).parent / "catalog" / "tables.sql"
LEDGER = Path(__file__).with_name("ledger.sql")
TEMPLATE = "bench_template"
DATABASE = "bench"
#: No checkpoint by time or size may fall into one subject's run and not into another's.
POSTGRES = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "max_connections": "200",
    "fsync": "on",
    "synchronous_commit": "on",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the workers of one run find their servers."""

    database_url: str
    redis_path: str
    redis_port: int = 0

    def redis_url(self, database: int = 0) -> str:
        """Return the URL as redis-py and all built on it read it."""
        if self.redis_port:
            return f"redis://127.0.0.1:{self.redis_port}/{database}"
        return f"unix://{self.redis_path}?db={database}"

    def celery_url(self, database: int = 0) -> str:
        """Return the URL as Celery and kombu read it."""
        if self.redis_port:
            return self.redis_url(database)
        return f"redis+socket://{self.redis_path}?virtual_host={database}"


class Servers:
    """PostgreSQL and Valkey of this run; clients of the harness itself are never delayed."""

    def __init__(self, postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
        self.postgres = postgres
        self.valkey = valkey
        self._ledgers: set[str] = set()
        self.redis: Redis = Redis(unix_socket_path=str(valkey.socket), socket_timeout=60)

    def prepare(self, schemas: Sequence[str]) -> None:
        """Make the database that every run copies: Celeriac's schema, the table, the peers'."""
        execute(self.postgres.url(), "CREATE DATABASE {}", TEMPLATE)
        template = self.postgres.url(TEMPLATE)
        migrate(template)
        for text in (TABLES.read_text(encoding="utf-8"), *schemas):
            execute(template, text.replace("{", "{{").replace("}", "}}"))
        # Never settled within seconds of a run; the planner must know all tables as they are.
        execute(template, "VACUUM ANALYZE")

    def fresh(self, template: str = TEMPLATE) -> Place:
        """Empty both servers; write what is due to disk, so that no run pays for another."""
        self.redis.flushall()
        self._copy(template, DATABASE)
        execute(self.postgres.url(), "CHECKPOINT")
        return Place(self.postgres.url(DATABASE), str(self.valkey.socket))

    def with_ledger(self, kind: str, rows: int) -> str:
        """Name a template whose ledger has the rows of so many earlier jobs; made once."""
        name = f"bench_ledger_{kind}_{rows}"
        if name not in self._ledgers:
            self._copy(TEMPLATE, name)
            url = self.postgres.url(name)
            execute(url, LEDGER.read_text("utf-8"), values={"kind": kind, "rows": rows})
            execute(url, "VACUUM ANALYZE")
            self._ledgers.add(name)
        return name

    def _copy(self, template: str, name: str) -> None:
        execute(self.postgres.url(), "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        # By file: as fast as the disk is, and nothing of it is in the log of changes.
        text = "CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY"
        execute(self.postgres.url(), text, name, template)

    @contextmanager
    def behind(self, place: Place, milliseconds: float) -> Iterator[Place]:
        """Yield the same place with so much more in every round trip to either server."""
        if not milliseconds:
            yield place
            return
        postgres_socket = f"{self.postgres.socket_dir}/.s.PGSQL.{self.postgres.port}"
        with (
            delayed(postgres_socket, milliseconds) as sql_side,
            delayed(place.redis_path, milliseconds) as redis_side,
        ):
            yield Place(_url(sql_side), place.redis_path, redis_side.port)


def _url(link: Delayed) -> str:
    options = "sslmode=disable&gssencmode=disable"
    return f"postgresql://postgres@127.0.0.1:{link.port}/{DATABASE}?{options}"


@contextmanager
def running(folder: Path) -> Iterator[Servers]:
    """Start both servers in a folder, and remove them with their data at the end."""
    with ExitStack() as stack:
        postgres = EmbeddedPostgres(folder, settings=POSTGRES)
        stack.callback(postgres.remove)
        postgres.start()
        valkey = EmbeddedValkey(folder)
        stack.callback(valkey.remove)
        valkey.start()
        servers = Servers(postgres, valkey)
        stack.callback(servers.redis.close)
        # A rewrite of the log in the middle of a run would be one subject's bad luck.
        servers.redis.config_set("auto-aof-rewrite-percentage", "0")
        yield servers


def execute(url: str, text: str, *names: str, values: Mapping[str, Any] | None = None) -> None:
    """Run statements that answer nothing; names fill the braces."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True  # databases are not made inside a transaction
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(text).format(*map(sql.Identifier, names)), values)
