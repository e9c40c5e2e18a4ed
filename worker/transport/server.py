"""Which servers the transport works on."""

from collections.abc import Mapping
from typing import Any

#: The first version with LMOVE and BLMOVE.
OLDEST_REDIS = (6, 2)


class ServerTooOld(Exception):
    """The broker lacks commands that reserving needs."""


def refuse_old(info: Mapping[str, Any], where: str) -> None:
    """Raise ServerTooOld for a Redis that is too old, by its answer to INFO server.

    Valkey calls itself a Redis of the version that it left from, which is new
    enough; so do other servers that speak Redis's protocol.
    """
    version = str(info.get("redis_version", ""))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers and numbers < OLDEST_REDIS and "valkey_version" not in info:
        oldest = ".".join(map(str, OLDEST_REDIS))
        raise ServerTooOld(
            f"Redis {version} at {where} is too old: {oldest} or newer, or Valkey, is needed; "
            "upgrade it, or point CELERIAC_BROKER_URL at another"
        )
