"""Store the results that producers asked for, as Celery stores them: a batch in one round trip.

The results of plain jobs differ by rows and id alone. Redis is told the text
once for each number of rows, and puts the ids in by itself.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

from celery import Celery, states
from celery.app.task import Context
from redis.exceptions import NoScriptError, RedisError

from worker.delivery import Fate, Settlement, whole_result

_STORE = (files("worker") / "store_results.lua").read_text(encoding="utf-8")
_STORE_SHA = sha1(_STORE.encode(), usedforsecurity=False).hexdigest()
#: Jobs in one call of the script: Redis serves nobody else while it runs.
_JOBS_A_CALL = 1_000
#: An id that JSON writes as it is, and that is short: these bound the bytes of a call.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,255}")

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


def store_results(
    plain: Sequence[tuple[str, int]], others: Sequence[tuple[Settlement, Any]], app: Celery
) -> None:
    """Store what became of jobs whose producers asked. Raises :class:`ResultsNotStored`.

    ``plain`` are ids and rows of jobs that committed with all their rows
    inserted, and whose results name neither group nor parent; ``others`` come
    with Celery's context, if there is one. Storing again what was stored is
    harmless.
    """
    calls, unusual = _calls(plain, app)
    texts = list(_texts([*unusual, *others], app))
    if not calls and not texts:
        return
    try:
        try:
            _send(calls, texts, app.backend, "EVALSHA", _STORE_SHA)
        except NoScriptError:
            _send(calls, texts, app.backend, "EVAL", _STORE)
    except (RedisError, OSError) as error:
        raise ResultsNotStored(str(error)) from error


@lru_cache(maxsize=1024)
def result_text(rows: int) -> str:
    """Return the same as JSON."""
    return json.dumps(whole_result(rows))


def _calls(
    plain: Sequence[tuple[str, int]], app: Celery
) -> tuple[list[list[Any]], list[tuple[Settlement, Any]]]:
    """Return the arguments of each call of the script, and the jobs that it cannot do."""
    backend = app.backend
    rest = _rest_of_success(app)
    calls, unusual = [], []
    for first in range(0, len(plain), _JOBS_A_CALL):
        by_rows: dict[int, list[str]] = defaultdict(list)
        for id_, rows in plain[first : first + _JOBS_A_CALL]:
            if _PLAIN_ID.fullmatch(id_):
                by_rows[rows].append(id_)
            else:
                unusual.append((Settlement(id_, Fate.COMMITTED, whole_result(rows)), None))
        if by_rows:
            call = [backend.task_keyprefix, backend.expires or 0, '"}']
            for rows, ids in by_rows.items():
                head = f'{{"status": "SUCCESS", "result": {result_text(rows)}, {rest}, "task_id": "'
                call += [head, " ".join(ids)]
            calls.append(call)
    return calls, unusual


def _texts(
    others: Sequence[tuple[Settlement, Any]], app: Celery
) -> Iterator[tuple[bytes, int, str]]:
    """Return key, lifetime and text of each result; of an empty id nobody can ask for one."""
    backend, rest = app.backend, _rest_of_success(app)
    for settlement, context in others:
        if settlement.fate in _STATUS and settlement.id:
            failed = settlement.fate is Fate.DEAD
            seconds = backend.failure_expires if failed else backend.expires
            key = backend.get_key_for_task(settlement.id)
            text = _success(settlement, rest) if context is None else None
            yield key, seconds or 0, text or backend.encode(_meta(settlement, context, backend))


def _rest_of_success(app: Celery) -> str:
    """Write what Celery tells of every job that has neither group nor parent, done now."""
    return f'"traceback": null, "children": [], "date_done": "{app.now().isoformat()}"'


def _success(settlement: Settlement, rest: str) -> str | None:
    """Write what Celery would of a committed job without a request, without its detours."""
    if settlement.fate is not Fate.COMMITTED:
        return None
    try:
        result, id_ = json.dumps(settlement.result), json.dumps(settlement.id)
    except TypeError:
        return None  # kombu knows more types than the standard does.
    return f'{{"status": "SUCCESS", "result": {result}, {rest}, "task_id": {id_}}}'


def _meta(settlement: Settlement, context: Any, backend: Any) -> dict[str, Any]:
    result: Any = settlement.result
    if settlement.fate in _EXCEPTIONS:
        result = {
            "exc_type": _EXCEPTIONS[settlement.fate],
            "exc_message": [settlement.error],
            "exc_module": "celeriac.errors",
        }
    meta: dict[str, Any] = backend._get_result_meta(  # noqa: SLF001 - see the contract tests
        result=result, state=_STATUS[settlement.fate], traceback=None, request=context or Context()
    )
    return meta | {"task_id": settlement.id}


def _send(
    calls: Sequence[Sequence[Any]],
    texts: Sequence[tuple[bytes, int, str]],
    backend: Any,
    command: str,
    script: str,
) -> None:
    with backend.client.pipeline(transaction=False) as pipe:
        for arguments in calls:
            pipe.execute_command(command, script, 0, *arguments)
        for key, seconds, text in texts:
            pipe.set(key, text, ex=seconds or None)
            pipe.publish(key, text)
        pipe.execute()
