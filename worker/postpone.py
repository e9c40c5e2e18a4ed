"""Stock messages with a time that is far off wait in PostgreSQL: no worker holds them meanwhile.

The main process writes down what the outbox is to keep, a child commits it,
and only then is the message settled. Die in between, and it comes again: the
outbox keeps the first of an id. One with another payload than the first is buried.
"""

import json
import time
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from celery.utils.time import maybe_iso8601, maybe_make_aware
from celery.worker import state
from kombu.message import Message

from celeriac.contract import MAX_BODY_BYTES, MAX_ID_CHARACTERS
from postgres import Cursor
from postgres.errors import PostgresError
from postgres.outbox import Entry, enqueue, read_others
from postgres.transaction import transaction
from worker.accept import Accepted, accept
from worker.child import Child
from worker.commit import bury_conflicts
from worker.delivery import Answer, Delivery, Fate, Parcel, Settlement

FAR_OFF = timedelta(minutes=1)

#: The relay says these of its own; the others are the producer's.
_RELAYS_OWN = frozenset({"id", "task", "eta", "relayed", "redelivered"})
_KEPT_PROPERTIES = ("correlation_id", "reply_to", "priority")
_USUAL = ("application/json", "utf-8")


class _Kept(msgspec.Struct):
    """An entry of the outbox, as it crosses the pipe to a child."""

    task: str
    body: str
    run_at: datetime
    options: dict[str, Any]


def postponed_form(message: Message, now: datetime) -> bytes | None:
    """Return what the outbox is to keep of a message; None if it is not to be postponed.

    That is one whose time is near, that is of an unusual form, or that was
    revoked already: Celery waits with those.
    """
    headers: Mapping[str, Any] = message.headers
    when = _far_off(headers.get("eta"), now)
    if when is None or headers["id"] in state.revoked or not _is_usual(message):
        return None
    properties = {name: message.properties.get(name) for name in _KEPT_PROPERTIES}
    options = {
        "headers": {name: one for name, one in headers.items() if name not in _RELAYS_OWN},
        "properties": {name: one for name, one in properties.items() if one is not None},
    }
    try:
        body = message.body if isinstance(message.body, str) else message.body.decode("utf-8")
        kept = msgspec.json.encode(_Kept(headers["task"], body, when, options))
        # PostgreSQL cannot hold these; msgspec would write NaN as null.
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return None
    return None if b"\\u0000" in kept else kept


def postpone(parcel: Parcel, child: Child) -> Answer:
    """Commit a parcel of such messages to the outbox, all or none."""
    started = time.monotonic()
    entries = [_entry(id_, body) for id_, body in zip(parcel.ids, parcel.bodies, strict=True)]
    try:
        with transaction(child.pool) as cursor:
            enqueue(entries, cursor)
            conflicts = _conflicts(entries, child, cursor)
            bury_conflicts([*conflicts.values()], child, cursor)
        settlements = [_settlement(one, conflicts) for one in entries]
    except PostgresError as error:
        settlements = [Settlement(one.id, Fate.WAIT, error=str(error)) for one in entries]
    seconds = time.monotonic() - started
    return Answer([0] * len(entries), dict(enumerate(settlements)), seconds)


def _conflicts(
    entries: Sequence[Entry], child: Child, cursor: Cursor
) -> dict[tuple[str, str], Accepted]:
    """Return those whose id waits in the outbox with another payload, however that was written."""
    found = {}
    for (id_, body), kept in read_others(entries, cursor).items():
        task = next(one.task for one in entries if (one.id, one.body) == (id_, body))
        mine, first = (
            accept(Delivery(id_, task, one.encode()), child.kinds) for one in (body, kept)
        )
        if mine.ask.digest != first.ask.digest:
            found[id_, body] = mine
    return found


def _settlement(entry: Entry, conflicts: Container[tuple[str, str]]) -> Settlement:
    is_another = (entry.id, entry.body) in conflicts
    return Settlement(entry.id, Fate.CONFLICT if is_another else Fate.POSTPONED)


def _far_off(eta: object, now: datetime) -> datetime | None:
    if not isinstance(eta, str):
        return None
    try:
        when: datetime = maybe_make_aware(maybe_iso8601(eta), UTC)
        # Kept in UTC: a zone that only Python knows would not be understood.
        when = when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return when if when - now > FAR_OFF else None


def _is_usual(message: Message) -> bool:
    form = (message.content_type, message.content_encoding)
    id_ = message.headers["id"]
    return (
        form == _USUAL
        and not message.headers.get("compression")
        and 0 < len(id_) <= MAX_ID_CHARACTERS
        and id_.isprintable()
        and len(message.body) <= MAX_BODY_BYTES
    )


def _entry(id_: str, kept: str | bytes) -> Entry:
    one = msgspec.json.decode(kept, type=_Kept)
    return Entry(id_, one.task, one.body, one.run_at, one.options)
