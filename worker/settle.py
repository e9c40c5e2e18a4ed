"""Tell everybody how jobs ended: result, event, ack; only after COMMIT, in this order.

Die between two of them and the broker delivers again; the ledger then answers
what it answered before, and the job is settled a second time to the same end.
Nothing but this module acknowledges a message.
"""

import json
from collections.abc import Sequence
from typing import Any

from celery import Celery, states
from redis.exceptions import RedisError

from worker import events
from worker.delivery import Fate, Settlement
from worker.request import Settled

_STATUS = {
    Fate.COMMITTED: states.SUCCESS,
    Fate.DEAD: states.FAILURE,
    Fate.CANCELLED: states.REVOKED,
    # Celery's nearest word: it is not over, and it does not run now.
    Fate.HELD: states.RETRY,
}
#: What ``AsyncResult.get()`` raises at the producer, by class name in ``celeriac.errors``.
_EXCEPTIONS = {Fate.DEAD: "JobFailed", Fate.CANCELLED: "JobCancelled", Fate.HELD: "JobHeld"}


class ResultsNotStored(Exception):
    """The result store did not answer; nothing of the batch was settled."""


def settle(pairs: Sequence[tuple[Settled, Settlement]], seconds: float, app: Celery) -> None:
    """Settle jobs that the ledger decided. Raises :class:`ResultsNotStored`."""
    store_results(pairs, app)
    for request, settlement in pairs:
        _announce(request, settlement, seconds)
        request.finish(successful=settlement.fate is Fate.COMMITTED)
        request.acknowledge()


def store_results(pairs: Sequence[tuple[Settled, Settlement]], app: Celery) -> None:
    """Store the results that producers asked for, in one round trip, as Celery stores them."""
    wanted = [
        (request, settlement)
        for request, settlement in pairs
        if request.wants_result and settlement.fate in _STATUS
    ]
    if not wanted:
        return
    backend = app.backend
    try:
        with backend.client.pipeline(transaction=False) as pipe:
            for request, settlement in wanted:
                key = backend.get_key_for_task(request.id)
                value = backend.encode(_meta(request, settlement, app))
                pipe.set(key, value, ex=backend.expires)
                pipe.publish(key, value)
            pipe.execute()
    except (RedisError, OSError) as error:
        raise ResultsNotStored(str(error)) from error


def _meta(request: Settled, settlement: Settlement, app: Celery) -> dict[str, Any]:
    result: Any = settlement.result
    if settlement.fate in _EXCEPTIONS:
        result = {
            "exc_type": _EXCEPTIONS[settlement.fate],
            "exc_message": [settlement.error],
            "exc_module": "celeriac.errors",
        }
    meta: dict[str, Any] = app.backend._get_result_meta(  # noqa: SLF001 - see the contract tests
        result=result, state=_STATUS[settlement.fate], traceback=None, request=request.context
    )
    return meta | {"task_id": request.id}


def _announce(request: Settled, settlement: Settlement, seconds: float) -> None:
    match settlement.fate:
        case Fate.COMMITTED:
            result = json.dumps(settlement.result)
            request.send_event("task-succeeded", result=result, runtime=seconds)
        case Fate.DEAD:
            events.job_buried(job=request.id, reason=settlement.error or "")
            request.send_event("task-failed", exception=settlement.error, traceback="")
        case Fate.CANCELLED:
            expired = (settlement.error or "").startswith("expired")
            request.send_event("task-revoked", terminated=False, signum=None, expired=expired)
        case Fate.HELD:
            request.send_event("task-retried", exception=f"held: {settlement.error}", traceback="")
        case Fate.CONFLICT:
            # Silent for Flower: the id belongs to the first job, which stays what it is.
            events.job_conflicted(job=request.id)
