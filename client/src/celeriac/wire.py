"""Write one Redis command as bytes."""

from collections.abc import Iterable

from celeriac.steps import Argument


def pack(command: Iterable[Argument]) -> bytes:
    """Write a command in Redis' protocol, in one piece."""
    parts = [part if type(part) is bytes else str(part).encode() for part in command]
    pieces = [b"*%d\r\n" % len(parts)]
    pieces += [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"".join(pieces)
