"""Read a delivery: a job of its kind, or the reason why it can never be one.

Runs in a child. What cannot succeed is still claimed, as dead: the ledger may
know better, and a job that committed is never shown as failed.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import msgspec

from celeriac.contract import MAX_BODY_BYTES, MAX_ID_CHARACTERS, State
from postgres.ledger import Ask
from tasks.kind import BadPayload, Job, Kind, bounded
from tasks.wire import Body, read_body
from worker.delivery import Delivery
from worker.group import Group, read_group

#: Bytes of a payload's digest; the ledger keeps them.
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Accepted:
    """What to ask the ledger for a delivery, and the job to run if it agrees."""

    delivery: Delivery
    ask: Ask
    job: Job[Any] | None
    group: Group | None = None

    @property
    def message(self) -> str:
        """The message as text, for the ledger to keep while the job is held or dead."""
        text = self.delivery.body.decode("utf-8", "backslashreplace")
        return text.replace("\0", "\\x00")


def accept(delivery: Delivery, kinds: Mapping[str, Kind[Any]]) -> Accepted:
    """Check a delivery; never raises, a bad one comes back without a job."""
    try:
        if delivery.buried is not None:
            raise BadPayload(delivery.buried)
        _check_id(delivery.id)
        return _accept(delivery, kinds[delivery.task])
    except BadPayload as error:
        return Accepted(delivery, _dead(delivery, str(error), kinds), None)


def buried(accepted: Accepted, reason: str) -> Accepted:
    """Return a job that turned out to have no end but this, with what is known of it."""
    delivery = replace(accepted.delivery, buried=reason)
    ask = replace(accepted.ask, state=State.DEAD, error=bounded(_clean(reason)))
    return Accepted(delivery, ask, None)


def conflicting(accepted: Accepted) -> Ask:
    """Return the ask that buries another payload of a taken id, under an id of its own."""
    ask = accepted.ask
    return Ask(
        id=f"{ask.id[: MAX_ID_CHARACTERS - 33]}!{ask.digest}",
        task=ask.task,
        subject=ask.subject,
        rows=ask.rows,
        digest=ask.digest,
        attempts=ask.attempts,
        state=State.DEAD,
        error=f"id {ask.id!r} was used before, with another payload: the first stays",
    )


def _accept(delivery: Delivery, kind: Kind[Any]) -> Accepted:
    if len(delivery.body) > MAX_BODY_BYTES:
        raise BadPayload(f"body must be at most {MAX_BODY_BYTES} bytes, got {len(delivery.body)}")
    body = read_body(delivery.body)
    _refuse_canvas(body)
    members = _members(body, kind)
    payload = _payload(members, kind)
    kind.check(payload)
    ask = Ask(
        id=delivery.id,
        task=delivery.task,
        subject=kind.subject(payload),
        rows=kind.rows(payload),
        digest=_digest(members),
        attempts=delivery.attempts,
        state=_state_if_all_goes_well(delivery, payload, kind),
        error=delivery.cancelled,
    )
    group = read_group(bytes(body.canvas.celeriac_group)) if body.canvas else None
    job = Job(delivery.id, payload, delivery.waited_seconds, delivery.aside_seconds)
    return Accepted(delivery, ask, job, group)


def _state_if_all_goes_well(delivery: Delivery, payload: Any, kind: Kind[Any]) -> State:
    if delivery.cancelled:
        return State.CANCELLED
    is_long = kind.may_take_long and (delivery.takes_long or kind.takes_long(payload))
    return State.WORKING if is_long else State.COMMITTED


def _dead(delivery: Delivery, error: str, kinds: Mapping[str, Kind[Any]]) -> Ask:
    return Ask(
        id=_usable_id(delivery),
        task=_clean(delivery.task),
        subject="",
        rows=0,
        digest=_digest_as_far_as_read(delivery, kinds),
        attempts=delivery.attempts,
        state=State.DEAD,
        error=bounded(_clean(error)),
    )


def _check_id(id_: str) -> None:
    if not 1 <= len(id_) <= MAX_ID_CHARACTERS or _clean(id_) != id_:
        raise BadPayload(
            f"id must be 1 to {MAX_ID_CHARACTERS} characters that PostgreSQL can store, "
            f"got {id_[:MAX_ID_CHARACTERS]!r} ({len(id_)})"
        )


def _usable_id(delivery: Delivery) -> str:
    try:
        _check_id(delivery.id)
    except BadPayload:
        seed = repr(delivery.id).encode() + delivery.body
        return "unusable-id-" + blake2b(seed, digest_size=DIGEST_BYTES).hexdigest()
    return delivery.id


def _clean(text: str) -> str:
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def _refuse_canvas(body: Body) -> None:
    names = body.canvas.names() if body.canvas else []
    if names:
        raise BadPayload(
            f"{', '.join(names)} cannot follow this task: what comes after a commit must be "
            "enqueued in that commit; enqueue it from the application when the result is there"
        )


def _members(body: Body, kind: Kind[Any]) -> dict[str, msgspec.Raw]:
    """Put positional and keyword arguments into one mapping, in the payload's order."""
    fields = kind.payload.__struct_fields__
    if len(body.args) > len(fields):
        raise BadPayload(f"{kind.name} takes {len(fields)} arguments, got {len(body.args)}")
    members = dict(zip(fields, body.args, strict=False))
    twice = members.keys() & body.kwargs.keys()
    if twice:
        raise BadPayload(f"argument {min(twice)!r} was given twice")
    members |= body.kwargs
    known = {name: members[name] for name in fields if name in members}
    return known | members


def _payload(members: Mapping[str, msgspec.Raw], kind: Kind[Any]) -> Any:
    text = b",".join(b"%b:%b" % (msgspec.json.encode(name), raw) for name, raw in members.items())
    try:
        return msgspec.json.decode(b"{%b}" % text, type=kind.payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadPayload(f"{kind.name}: {error}") from error


def _digest(members: Mapping[str, msgspec.Raw]) -> str:
    """Identify a payload, however its arguments were passed."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for name, raw in members.items():
        digest.update(b"%b:%d:" % (name.encode("utf-8", "backslashreplace"), len(bytes(raw))))
        digest.update(raw)
    return digest.hexdigest()


def _digest_as_far_as_read(delivery: Delivery, kinds: Mapping[str, Kind[Any]]) -> str:
    """Identify a job that is buried as it would be if it were not: it may have committed before."""
    kind = kinds.get(delivery.task)
    if kind is not None and len(delivery.body) <= MAX_BODY_BYTES:
        with suppress(BadPayload):
            return _digest(_members(read_body(delivery.body), kind))
    return blake2b(delivery.body, digest_size=DIGEST_BYTES).hexdigest()
