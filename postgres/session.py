"""The settings that every connection of ours runs under.

Values must not change their meaning with a server's or a role's defaults, and
a client that is gone must not keep its locks: without these settings a stopped
process holds its claims for as long as the kernel believes in its socket.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Session:
    """What is asked of the server and of libpq when a connection opens."""

    application_name: str = "celeriac"
    connect_seconds: int = 5
    lock_seconds: float = 2.0
    statement_seconds: float = 10.0
    #: How long an unreachable peer is believed in, on either side.
    dead_peer_seconds: int = 10

    def connect_options(self) -> dict[str, object]:
        """Return the keyword arguments for ``psycopg2.connect``."""
        return {
            "application_name": self.application_name,
            "connect_timeout": self.connect_seconds,
            "options": " ".join(f"-c {name}={value}" for name, value in self._settings()),
            "client_encoding": "UTF8",
            "keepalives": 1,
            "keepalives_idle": self.dead_peer_seconds,
            "keepalives_interval": max(1, self.dead_peer_seconds // 4),
            "keepalives_count": 3,
            "tcp_user_timeout": self.dead_peer_seconds * 1000,
        }

    def _settings(self) -> list[tuple[str, object]]:
        dead_peer_ms = self.dead_peer_seconds * 1000
        return [
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO,YMD"),
            ("IntervalStyle", "iso_8601"),
            ("extra_float_digits", 1),
            ("bytea_output", "hex"),
            ("lock_timeout", f"{round(self.lock_seconds * 1000)}ms"),
            ("statement_timeout", f"{round(self.statement_seconds * 1000)}ms"),
            ("tcp_user_timeout", dead_peer_ms),
            ("tcp_keepalives_idle", self.dead_peer_seconds),
            ("tcp_keepalives_interval", max(1, self.dead_peer_seconds // 4)),
            ("tcp_keepalives_count", 3),
            ("client_connection_check_interval", "1s"),
        ]
