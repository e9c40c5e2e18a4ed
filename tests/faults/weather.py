"""Say what the network does at the moment, for all connections of a proxy."""

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which way bytes travel."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


@dataclass(slots=True)
class Weather:
    """What is done to bytes under way; the proxy's loop alone reads and writes it."""

    delay_to_server_seconds: float = 0.0
    delay_to_client_seconds: float = 0.0
    swallows_to_server: bool = False
    swallows_to_client: bool = False
    #: How many of the next answers to COMMIT are still to be cut off.
    commits_to_cut: int = 0
    commits_cut: int = 0

    def calm_down(self) -> None:
        """End everything that is done to bytes; what was counted stays."""
        self.delay_to_server_seconds = self.delay_to_client_seconds = 0.0
        self.swallows_to_server = self.swallows_to_client = False
        self.commits_to_cut = 0

    def delay_seconds(self, direction: Direction) -> float:
        """Return how long bytes of this direction are under way."""
        if direction is Direction.TO_SERVER:
            return self.delay_to_server_seconds
        return self.delay_to_client_seconds

    def swallows(self, direction: Direction) -> bool:
        """Tell whether bytes of this direction vanish."""
        if direction is Direction.TO_SERVER:
            return self.swallows_to_server
        return self.swallows_to_client
