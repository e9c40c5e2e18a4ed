"""The main process's own connection to Redis, for what it notes about its jobs."""

from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as NoAnswer


class Desk:
    """One connection, used by the main loop alone; connects when it is needed.

    What is posted is on its way when the call returns, and its answer is
    read before the next command: noting something costs no round trip.
    """

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._connection: Any = None
        self._unread = 0

    def post(self, *command: Any) -> None:
        """Send a command without waiting; raises RedisError when it cannot be sent."""
        self._send(command)
        self._unread += 1

    def ask(self, *command: Any) -> Any:
        """Send a command and return the answer; raises RedisError.

        It may be sent twice: a connection that broke since it was used last
        is no reason to give up.
        """
        is_fresh = self._connection is None
        try:
            return self._ask(command)
        except (ConnectionLost, NoAnswer):
            if is_fresh:
                raise
        return self._ask(command)

    def _ask(self, command: tuple[Any, ...]) -> Any:
        self._send(command)
        try:
            return self._connection.read_response()
        except ResponseError:
            raise
        except (RedisError, OSError):
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection; the next command makes a new one."""
        connection, self._connection, self._unread = self._connection, None, 0
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)

    def _send(self, command: tuple[Any, ...]) -> None:
        try:
            if self._connection is None:
                self._connection = self._client.connection_pool.get_connection()
            self._read_posted()
            self._connection.send_command(*command)
        except (RedisError, OSError):
            self.close()
            raise

    def _read_posted(self) -> None:
        while self._unread:
            self._unread -= 1
            try:
                self._connection.read_response()
            except ResponseError:
                # Notes are hints; a server that refuses one refuses the next command, too.
                continue
