"""kombu's Redis channel with another way to take messages: many at a time, under a lease.

Queues, messages, publishing, remote control and events are kombu's own.
"""

from functools import cached_property, partial
from importlib.resources import files
from queue import Empty
from time import monotonic
from typing import Any

from kombu.transport import redis
from redis import Redis

from worker.transport import envelope
from worker.transport.handover import Handover, Taken
from worker.transport.lease import connection_options
from worker.transport.reservation import Reservation
from worker.transport.slabs import WAITING_SLAB
from worker.transport.window import MOST_MESSAGES, QoS

_RESERVE = (files("worker.transport") / "reserve.lua").read_text(encoding="utf-8")

_MOST_BYTES = 1024 * 1024
#: How long an idle worker waits on one list before it looks at the others.
_WAIT_SECONDS = 0.25

#: What :mod:`worker.transport.settings` says beyond kombu's own options.
OUR_OPTIONS = ("lease_seconds", "prefetch_bytes")

#: One a deployment and process: what a process holds outlives its connections.
_reservations: dict[tuple[Any, ...], Reservation] = {}


class Channel(envelope.Channel):
    """kombu's channel; messages that have to be acknowledged are reserved in slabs."""

    QoS = QoS
    lease_seconds = 15.0
    prefetch_bytes = 64 * 1024 * 1024
    from_transport_options = (*redis.Channel.from_transport_options, *OUR_OPTIONS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._without_ack: set[str] = set()
        self._command = "BRPOP"
        self._is_idle = False
        self._turn = 0
        self._number = 0
        #: What BLMOVE answered: it need not come a second time.
        self._first: bytes | None = None
        self._waited_for = self._next_waited_for = ""
        self._may_move = True
        self._is_started = False
        #: A connection broke: messages may have been on their way to us.
        self._lost_sight = False
        self._asked: list[str] = []
        #: There are suspects or cancelled jobs: what comes may be among them.
        self._has_doubts = False
        self._reservation: Reservation | None = None

    @property
    def reservation(self) -> Reservation:
        """What this process holds of this deployment's messages."""
        if self._reservation is None:
            place = self._connparams()
            where = tuple(str(place.get(part)) for part in ("path", "host", "port", "db"))
            key = (*where, self.global_keyprefix)
            if key not in _reservations or _reservations[key].is_released:
                _reservations[key] = self._new_reservation()
            self._reservation = _reservations[key]
        return self._reservation

    @cached_property
    def handover(self) -> Handover:
        """The way of this channel's messages to the jobs' consumer."""
        return Handover(self.reservation, self._deliver)

    def _new_reservation(self) -> Reservation:
        # Pools of its own: this channel's are closed with it.
        notes, lease = self._get_pool(), self._get_pool()
        lease.connection_kwargs.update(connection_options(self.lease_seconds))
        return Reservation(
            partial(Redis, connection_pool=notes),
            partial(Redis, connection_pool=lease),
            self.global_keyprefix,
            self.lease_seconds,
        )

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:  # noqa: FBT001 - kombu's
        """Hold a lease from the first queue on whose messages have to be acknowledged."""
        if no_ack:
            self._without_ack.add(queue)
        elif not self._is_started:
            self._is_started = True
            self.reservation.start()
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_start(self, timeout: float | None = None) -> None:
        if self._without_ack:
            self._command = "BRPOP"
            super()._brpop_start(timeout)
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        if self._lost_sight:
            self._lost_sight = False
            self.reservation.give_back_unknown()
        if self._is_idle:
            self._wait()
        else:
            self._reserve(queues)

    def _wait(self) -> None:
        """Take the next message of one list when it comes: this worker alone wakes up."""
        keys = self.reservation.keys
        self._waited_for = self._next_waited_for
        if self._may_move:
            self._command = "BLMOVE"
            slab = keys.slab(WAITING_SLAB)
            arguments: tuple[Any, ...] = (self._waited_for, slab, "RIGHT", "LEFT", _WAIT_SECONDS)
        else:
            # A full server refuses BLMOVE; it still passes the time, on a list that nobody fills.
            self._command, self._may_move = "BLPOP", True
            arguments = (keys.nothing, _WAIT_SECONDS)
        self.client.connection.send_command(self._command, *arguments)

    def _reserve(self, queues: list[str]) -> None:
        self._command = "EVAL"
        reservation = self.reservation
        self._asked = [queue for _ in self.priority_steps for queue in queues]
        lists = [
            self.global_keyprefix + self._q_for_pri(queue, step)
            for step in self.priority_steps
            for queue in queues
        ]
        self._turn = (self._turn + 1) % len(queues)
        self._next_waited_for = lists[self._turn]
        # A number of its own each time: an answer that is lost must not be mixed with the next.
        early = self.handover.early
        self._number = reservation.slabs.next_number() if early is None else early.slab
        names = reservation.keys
        keys = [names.owners, names.recovered, names.slabs, names.suspects, names.cancelled]
        keys += [names.slab(WAITING_SLAB), names.slab(self._number), *lists]
        most = max(1, min(self.qos.can_consume_max_estimate(), MOST_MESSAGES))
        self.client.connection.send_command(
            *("EVAL", _RESERVE, len(keys), *keys),
            *(names.owner, self._number, most, _MOST_BYTES),
            *(WAITING_SLAB, self._waited_for or lists[0], self._next_waited_for),
            "0" if self._first is None else "1",
        )

    def _brpop_read(self, **options: Any) -> Any:
        if self._command == "BRPOP":
            return super()._brpop_read(**options)
        try:
            answer = self._read_answer(**options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        # Whether it waited in vain or for somebody: now it looks at all lists.
        self._is_idle = False
        if self._command != "EVAL":
            self._first = answer if self._command == "BLMOVE" else None
            if self._first is not None and not self._has_doubts:
                self.handover.hand_over_early(self._first)
            # At once: somebody may have waited for an idle worker.
            self._brpop_start()
            raise Empty
        first, self._first = self._first, None
        state, *found = answer
        if state > 0 and self._take(self._asked[state - 1], first, *found):
            return True
        self.handover.disown_early()
        if state < 0:
            self.reservation.lease.note_recovery()
        elif state == 0:
            self._is_idle = True
            slabs, self._has_doubts = found
            self._lost_sight = self.reservation.has_more_than_it_knows(slabs)
        raise Empty

    def _take(
        self, queue: str, first: bytes | None, count: int, texts: list[bytes], *more: Any
    ) -> bool:
        """Hand over what the script took; False if it took other messages than we believed."""
        suspects, known, has_doubts = more
        self._has_doubts = bool(has_doubts)
        is_early = self.handover.early is not None
        if is_early and not (known and self.reservation.slabs.has_early):
            # The server, or we, have forgotten what it gave us: who knows what is in this slab.
            self._lost_sight = True
            return False
        if known and not is_early:
            texts.insert(0, first or b"")
        deaths = dict(zip(suspects[::2], suspects[1::2], strict=True))
        self._queue_cycle.rotate(queue)
        self.handover.hand_over(
            Taken(
                self._number,
                queue,
                count,
                b",".join(texts),
                int(is_early),
                deaths,
                self._has_doubts,
            )
        )
        return True

    def _read_answer(self, **options: Any) -> Any:
        try:
            return self.client.parse_response(self.client.connection, self._command, **options)
        except self.connection_errors:
            # So that the next round connects again.
            self.client.connection.disconnect()
            raise
        except self.ResponseError:
            if self._command != "BLMOVE":
                raise
            self._may_move = False
            return None

    def _on_connection_disconnect(self, connection: Any) -> None:
        self._lost_sight, self._first = True, None
        # Not every channel reserves anything.
        if "handover" in vars(self):
            self.handover.disown_early()
        super()._on_connection_disconnect(connection)

    def _deliver(self, message: Any, queue: str) -> None:
        self.connection._deliver(message, queue)  # noqa: SLF001 - as kombu's own channel does


class Transport(envelope.Transport):
    """kombu's Redis transport over this channel."""

    Channel = Channel


class SentinelChannel(Channel, redis.SentinelChannel):  # type: ignore[misc]  # kombu has no types
    """The same behind Redis Sentinel."""

    from_transport_options = (*redis.SentinelChannel.from_transport_options, *OUR_OPTIONS)


class SentinelTransport(envelope.Transport, redis.SentinelTransport):  # type: ignore[misc]  # kombu has no types
    """kombu's Sentinel transport over this channel."""

    Channel = SentinelChannel
