"""Real servers from wheels: PostgreSQL and Valkey for the demo and the tests.

Nothing has to be installed on the machine. Both listen on Unix sockets in a
private folder only, keep their data between starts, and survive SIGKILL.
"""

from worker.embedded.lock import ServerFailed
from worker.embedded.postgres_server import EmbeddedPostgres
from worker.embedded.valkey_server import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedValkey", "ServerFailed"]
