"""Compare what PostgreSQL says of an epoch with what Redis remembers: pure, so a table tests it."""

from postgres.relay import Epoch
from worker.relay.memory import Seen

#: A relay that was not heard of for so long is taken for dead. If it is not, Redis refuses its
#: next push, and it begins a new epoch.
SILENT_SECONDS = 5.0


def must_close(epoch: Epoch, seen: Seen | None, relay: str, current: str | None) -> bool:
    """Tell whether an epoch has to be closed, and what Redis forgot of it pushed again.

    ``relay`` asks, with ``current`` as its own open epoch and no push under
    way. The epoch was read before Redis was asked.
    """
    if epoch.remembered is not None:
        return _forgot_since(epoch.remembered, seen)
    if epoch.is_closed or seen is None or seen.is_closed:
        # Somebody's closing did not come to its end, or Redis forgot the epoch.
        return True
    if epoch.epoch == current:
        return seen.push != epoch.claimed
    # The last claim of another relay may be on its way to Redis, but no earlier one.
    is_dead = epoch.relay == relay or epoch.silent_seconds > SILENT_SECONDS
    return is_dead or seen.push < epoch.claimed - 1


def _forgot_since(remembered: int, seen: Seen | None) -> bool:
    return seen is None or not seen.is_closed or seen.push < remembered
