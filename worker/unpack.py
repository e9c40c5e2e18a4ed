"""Open a parcel: plain jobs into columns, any other into a delivery of its own.

Plain is a job whose body and payload hold nothing unusual. What is read of
it, digest included, is what :mod:`worker.accept` would read; whatever is the
least bit odd is left to that, which knows the words for it.
"""

from binascii import a2b_base64
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, cast

import msgspec
from msgspec.structs import astuple

from celeriac.contract import MAX_BODY_BYTES, MAX_ID_CHARACTERS
from postgres.replay import is_replay
from tasks.kind import Kind
from tasks.wire import body_type, plain_body_type
from worker.accept import DIGEST_BYTES
from worker.delivery import Delivery, Parcel, Remarks

_KOMBU_MARK = b'"__type__"'


@dataclass(frozen=True, slots=True)
class PlainJobs:
    """Plain jobs, column by column; ``positions`` are their places in the parcel."""

    positions: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    payloads: list[Any] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)

    def only(self, places: Sequence[int]) -> "PlainJobs":
        """Return the jobs at these places, in this order."""
        return PlainJobs(*([column[place] for place in places] for column in self._columns()))

    def within(self, most_rows: int) -> "list[PlainJobs]":
        """Cut into neighbours that together stay within the rows; a single job always fits."""
        if sum(self.rows) <= most_rows:
            return [self] if self.ids else []
        return [self.only(places) for places in neighbours(self.rows, most_rows)]

    def _columns(self) -> tuple[list[Any], ...]:
        return self.positions, self.ids, self.payloads, self.subjects, self.rows, self.digests


class PlainReader:
    """Reads the plain jobs of one kind."""

    def __init__(self, kind: Kind[Any]) -> None:
        names = kind.payload.__struct_fields__
        self._kind = kind
        self._members = msgspec.json.Decoder(plain_body_type(names)).decode
        self._arguments = msgspec.json.Decoder(body_type(kind.payload)).decode
        #: What worker.accept hashes piece by piece, as one text.
        self._identity = b"".join(name.encode() + b":%d:%b" for name in names)

    def read(self, parcel: Parcel) -> PlainJobs:
        """Return the plain jobs of a parcel; the others are left out."""
        odd = _odd_positions(parcel)
        found: list[tuple[Any, ...]] = []
        for position, (id_, body) in enumerate(zip(parcel.ids, parcel.bodies, strict=True)):
            if position in odd:
                continue
            try:
                payload, digest = self._open(decoded(body))
                subject, rows = self._kind.subject(payload), self._kind.rows(payload)
            except Exception:  # noqa: BLE001, S112 - accept finds the words for it, or no fault
                continue
            found.append((position, id_, payload, subject, rows, digest))
        return PlainJobs(*map(list, zip(*found, strict=True))) if found else PlainJobs()

    def _open(self, body: bytes) -> tuple[Any, str]:
        if _KOMBU_MARK in body or len(body) > MAX_BODY_BYTES:
            raise ValueError("not plain")
        if not body.isascii():
            body.decode("utf-8")
        payload = self._arguments(body).kwargs
        self._kind.check(payload)
        pieces: list[int | bytes] = []
        for member in astuple(self._members(body).kwargs):
            text = bytes(member)
            pieces += (len(text), text)
        identity = self._identity % tuple(pieces)
        return payload, blake2b(identity, digest_size=DIGEST_BYTES).hexdigest()


def deliveries(parcel: Parcel, positions: Iterable[int]) -> list[Delivery]:
    """Return the jobs at these positions, their bodies decoded but unread."""
    return [_delivery(parcel, position) for position in positions]


def decoded(body: str | bytes) -> bytes:
    """Return the bytes of a body; as lax with base64 as Celery. Raises ValueError."""
    return a2b_base64(body) if isinstance(body, str) else body


def neighbours(rows: Sequence[int], most_rows: int) -> list[list[int]]:
    """Group the places of these row counts so that no group has more rows, or only one place."""
    groups: list[list[int]] = []
    total = 0
    for place, count in enumerate(rows):
        total += count
        if not groups or total > most_rows:
            groups.append([])
            total = count
        groups[-1].append(place)
    return groups


def _delivery(parcel: Parcel, position: int) -> Delivery:
    remarks = parcel.remarks.get(position, Remarks())
    body, buried = parcel.bodies[position], remarks.buried
    try:
        body = decoded(body)
    except ValueError as error:
        body = cast("str", body).encode("utf-8", "backslashreplace")
        buried = buried or f"body must be base64 text: {error}"
    return Delivery(
        id=parcel.ids[position],
        task=parcel.task,
        body=body,
        attempts=remarks.attempts,
        may_wait=remarks.may_wait,
        cancelled=remarks.cancelled,
        buried=buried,
        is_relayed=position in parcel.relayed,
        takes_long=remarks.takes_long,
        waited_seconds=remarks.waited_seconds,
        aside_seconds=remarks.aside_seconds,
        has_room=remarks.has_room,
    )


def _odd_positions(parcel: Parcel) -> set[int]:
    """Return the positions of jobs that are odd before anybody looks into their bodies."""
    ids = parcel.ids
    odd = {position for position, remarks in parcel.remarks.items() if not _is_ordinary(remarks)}
    times = Counter(ids) if len(set(ids)) != len(ids) else {}
    odd.update(
        position
        for position, id_ in enumerate(ids)
        if not 0 < len(id_) <= MAX_ID_CHARACTERS
        or not id_.isprintable()
        or times.get(id_, 1) > 1
        or is_replay(id_)
    )
    return odd


def _is_ordinary(remarks: Remarks) -> bool:
    return remarks.attempts == 1 and remarks.cancelled is None and remarks.buried is None
