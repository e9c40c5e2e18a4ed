"""Tell what can go wrong with Redis, and word it."""

from typing import Final

from redis.exceptions import RedisError, ResponseError

from celeriac.errors import BrokerUnavailable
from celeriac.urls import Address

#: A wait that ends in vain; the last three are how redis-py stumbles over an answer that is none.
FAILURES: Final = (RedisError, OSError, ValueError, OverflowError, RecursionError)


def unavailable(
    server: Address, tried: str, seconds: float, error: BaseException, *, is_sent: bool
) -> BrokerUnavailable:
    """Say which server, what was tried for how long, and what came of it."""
    return BrokerUnavailable(
        f"{server} is not available, tried {tried} for at most {seconds:g} s:"
        f" {error or type(error).__name__}",
        may_have_arrived=is_sent,
        refused=isinstance(error, ResponseError),
    )
