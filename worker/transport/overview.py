"""Count what workers have reserved, from outside any of them."""

from typing import Any

from redis import Redis

from worker.transport.keys import Keys


def count_reserved(client: Redis, prefix: str = "") -> int:
    """Return how many messages all workers of a deployment hold, also dead ones.

    A message that was settled counts until its slab is rewritten or done.
    """
    nobody = Keys(prefix, "")
    owners: Any = client.zrange(nobody.owners, 0, -1)
    total = 0
    for owner in owners:
        keys = Keys(prefix, owner.decode())
        numbers: Any = client.hkeys(keys.slabs)
        total += sum(int(client.llen(keys.slab(int(number)))) for number in numbers)
    return total
