"""End the statement under way on a connection, from another thread, within bounded time.

The driver asks the server over a connection of its own, stops the whole process
while it does, and knows no limit: a pooler or a host that accepts and says
nothing would hold the process for ever. So whoever would be asked is first
addressed by us, with a limit.
"""

import os
import socket
import struct
from contextlib import suppress
from typing import Any

import psycopg2

from postgres import Connection

#: How long to wait for a word.
_ANSWER_SECONDS = 3.0
#: "Do you speak TLS?", which servers and poolers answer with one byte, whoever asks.
_QUESTION = struct.pack("!ii", 8, 80877103)


def interrupt(connection: Connection) -> None:
    """Have the server end the statement under way; break the connection if nobody answers.

    Then whoever waits for the statement is told that the connection is lost,
    and the server notices soon that its client has gone.
    """
    with (
        suppress(psycopg2.Error, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as ours,
    ):
        if _is_answered(connection, ours):
            connection.cancel()
        else:
            ours.shutdown(socket.SHUT_RDWR)


def _is_answered(connection: Connection, ours: socket.socket) -> bool:
    with suppress(OSError), socket.socket(ours.family, socket.SOCK_STREAM) as asking:
        asking.settimeout(_ANSWER_SECONDS)
        asking.connect(_address(connection, ours))
        asking.sendall(_QUESTION)
        return bool(asking.recv(1))
    return False


def _address(connection: Connection, ours: socket.socket) -> Any:
    if ours.family != socket.AF_UNIX:
        return ours.getpeername()
    # By our path: the server's own may be another, where one runs in a container.
    return f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
