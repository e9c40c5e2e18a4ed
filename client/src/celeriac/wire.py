"""Write one Redis command as bytes."""

from collections.abc import Sequence

from celeriac.steps import Argument


def pack(command: Sequence[Argument]) -> bytes:
    """Write a command in Redis' protocol, in one piece."""
    pieces = [b"*%d\r\n" % len(command)]
    for part in command:
        data = part if type(part) is bytes else str(part).encode()
        pieces.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(pieces)
