"""Try a batch in a child, and decide what a failure means for its jobs."""

import random
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace

from postgres.decision import Decision, decide, when_collisions_do_not_end
from postgres.errors import Phase, PoolExhausted, Refused
from worker.child import Child
from worker.commit import commit
from worker.delivery import Answer, Delivery, Fate, Settlement
from worker.retry import COLLISIONS, collision_seconds

_ERROR_CHARACTERS = 2_000


def attempt(deliveries: Sequence[Delivery], child: Child) -> Answer:
    """Settle every delivery of a batch; a guilty job spares its neighbours.

    Returns only what the ledger decided, LATER, or WAIT; raises nothing that
    a job could bring about.
    """
    started = time.monotonic()
    settlements = _settle(list(deliveries), child)
    return Answer(settlements, time.monotonic() - started)


def _settle(deliveries: list[Delivery], child: Child) -> list[Settlement]:
    try:
        return _commit_through_collisions(deliveries, child)
    except PoolExhausted as error:
        return _all(deliveries, Fate.WAIT, str(error))
    except Refused as refused:
        return _after_refusal(deliveries, refused, child)
    except Exception as error:  # noqa: BLE001 - the job's edge: a kind may raise anything
        return _after_failure(deliveries, error, child)


def _commit_through_collisions(deliveries: list[Delivery], child: Child) -> list[Settlement]:
    for collision in range(1, COLLISIONS + 1):
        try:
            return commit(deliveries, child)
        except Refused as refused:
            if _decide(refused, deliveries) is not Decision.AGAIN or collision == COLLISIONS:
                raise
            time.sleep(collision_seconds(collision, random.random()))  # noqa: S311 - no secret
    raise AssertionError("unreachable: the last collision raises")


def _after_refusal(deliveries: list[Delivery], refused: Refused, child: Child) -> list[Settlement]:
    decision = _decide(refused, deliveries)
    if decision is Decision.AGAIN:
        decision = when_collisions_do_not_end(refused.phase, len(deliveries))
    match decision:
        case Decision.WAIT:
            return _all(deliveries, Fate.WAIT, str(refused))
        case Decision.BUSY:
            fate = Fate.TAKEN if refused.phase is Phase.CLAIM else Fate.LATER
            return _all(deliveries, fate, str(refused))
        case _ if len(deliveries) > 1:
            return _each_alone(deliveries, child)
        case _:
            return _bury(deliveries, str(refused), child)


def _after_failure(deliveries: list[Delivery], error: Exception, child: Child) -> list[Settlement]:
    if len(deliveries) > 1:
        return _each_alone(deliveries, child)
    where = traceback.extract_tb(error.__traceback__)[-1]
    reason = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    return _bury(deliveries, reason, child)


def _each_alone(deliveries: list[Delivery], child: Child) -> list[Settlement]:
    return [settlement for one in deliveries for settlement in _settle([one], child)]


def _bury(deliveries: list[Delivery], reason: str, child: Child) -> list[Settlement]:
    if deliveries[0].buried is not None:
        # Even the burial was refused: an operator has to look, nothing is lost meanwhile.
        return _all(deliveries, Fate.WAIT, reason)
    buried = [replace(one, buried=reason[:_ERROR_CHARACTERS]) for one in deliveries]
    return _settle(buried, child)


def _decide(refused: Refused, deliveries: Sequence[Delivery]) -> Decision:
    return decide(refused.sqlstate, refused.phase, len(deliveries))


def _all(deliveries: Sequence[Delivery], fate: Fate, reason: str) -> list[Settlement]:
    return [Settlement(one.id, fate, error=reason) for one in deliveries]
