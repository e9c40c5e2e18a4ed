"""Word what went wrong with Redis."""

from redis.exceptions import ResponseError

from celeriac.errors import BrokerUnavailable
from celeriac.urls import Address


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
