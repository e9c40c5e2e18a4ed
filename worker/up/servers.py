"""The two servers of the stack, and a database that is ready for work."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from postgres.database import create_database
from postgres.migrate import apply_file, migrate
from worker.embedded import EmbeddedPostgres, EmbeddedValkey

DATABASE = "celeriac"
BROKER, RESULTS = 0, 1


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers, running."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey

    @property
    def database_url(self) -> str:
        """The URL of the database that workers write to and reports read."""
        return self.postgres.url(DATABASE)

    @property
    def broker_url(self) -> str:
        """The URL of the broker."""
        return self.valkey.url(BROKER)

    @property
    def result_url(self) -> str:
        """The URL of the results, apart from the broker's database."""
        return self.valkey.url(RESULTS)


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Run both servers on a folder; stop them in the end, Valkey first."""
    with ExitStack() as stack:
        postgres = EmbeddedPostgres(folder)
        postgres.start()
        stack.callback(postgres.stop)
        valkey = EmbeddedValkey(folder)
        valkey.start()
        stack.callback(valkey.stop)
        yield Servers(postgres, valkey)


def prepare_database(servers: Servers, tables: Path) -> None:
    """Bring the database to the schema of this version, and create the demo's tables."""
    create_database(servers.postgres.url(), DATABASE)
    migrate(servers.database_url)
    apply_file(servers.database_url, tables)
