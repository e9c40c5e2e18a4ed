"""Reserve messages so that none is lost, whenever a worker dies.

kombu pops a message and writes it into its books of unacknowledged ones with
a second command: who dies between the two takes the message along. Here one
script does both, for many messages at a time; and waiting for the first one
takes nothing out of the queue at all.
"""

from importlib.resources import files
from queue import Empty
from time import monotonic, time
from typing import Any

from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from worker import envelope

_SCRIPT = (files("worker") / "reserve.lua").read_text(encoding="utf-8")

_MOST_MESSAGES = 200
_MOST_BYTES = 1024 * 1024
#: How long an idle worker waits on one queue before it looks at the others.
_WAIT_SECONDS = 0.25


class QoS(redis.QoS):  # type: ignore[misc]  # kombu has no types
    """kombu's books; what the script has written is not written again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.in_books: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:
        """Count a message as delivered, and enter it unless the script did."""
        if delivery_tag in self.in_books:
            self.in_books.discard(delivery_tag)
            super(redis.QoS, self).append(message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Give a message back to its queue, also one that cannot be read.

        kombu would raise at it, here and at every start, and restore nothing
        that stands behind it.
        """
        try:
            super().restore_by_tag(tag, client=client, leftmost=leftmost)
        except (ValueError, RecursionError) as error:
            self._restore_wrapped(tag, str(error))

    def _restore_wrapped(self, tag: str, reason: str) -> None:
        with self.channel.conn_or_acquire() as client:
            entry = client.hget(self.unacked_key, tag)
            raw, _, place = (entry or b"")[1:-1].rpartition(b',"",')
            queue = loads(bytes_to_str(place)) if place else ""
            with client.pipeline() as pipe:
                self._remove_from_indices(tag, pipe)
                if queue:
                    pipe.rpush(queue, envelope.wrap(raw, queue, reason))
                pipe.execute()

    def strike(self, delivery_tag: str) -> None:
        """Take a message out of the books that is held there under another tag as well."""
        self._remove_from_indices(delivery_tag).execute()


class Channel(envelope.Channel):
    """kombu's channel with another way to wait and to pop; all else is kombu's."""

    QoS = QoS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._without_ack: set[str] = set()
        self._asked: list[str] = []
        self._command = "BRPOP"
        self._is_idle = False
        self._turn = 0

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:  # noqa: FBT001 - kombu's
        """Remember queues whose messages are never acknowledged: they need no books."""
        if no_ack:
            self._without_ack.add(queue)
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
        if self._is_idle:
            self._wait(queues)
        else:
            self._reserve(queues)

    def _wait(self, queues: list[str]) -> None:
        """Block until a queue has a message, and leave it there: last place to last place."""
        self._command = "BLMOVE"
        self._turn = (self._turn + 1) % len(queues)
        key = self.global_keyprefix + self._q_for_pri(queues[self._turn], self.priority_steps[0])
        self.client.connection.send_command("BLMOVE", key, key, "RIGHT", "RIGHT", _WAIT_SECONDS)

    def _reserve(self, queues: list[str]) -> None:
        self._command = "EVAL"
        self._asked = [queue for _ in self.priority_steps for queue in queues]
        lists = [self._q_for_pri(queue, step) for step in self.priority_steps for queue in queues]
        keys = [
            self.global_keyprefix + key
            for key in (self.unacked_key, self.unacked_index_key, *lists)
        ]
        credit = self.qos.can_consume_max_estimate()
        most = _MOST_MESSAGES if credit is None else min(credit, _MOST_MESSAGES)
        self.client.connection.send_command(
            "EVAL", _SCRIPT, len(keys), *keys, most, _MOST_BYTES, time(), *self._asked
        )

    def _brpop_read(self, **options: Any) -> Any:
        if self._command == "BRPOP":
            return super()._brpop_read(**options)
        try:
            answer = self._read_answer(**options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if self._command == "BLMOVE":
            self._is_idle = False
            raise Empty
        if not answer:
            self._is_idle = True
            raise Empty
        self._deliver_all(answer)
        return True

    def _deliver_all(self, answer: list[tuple[int, bytes, bytes]]) -> None:
        """Deliver every message of a slab, also after one that could not be delivered."""
        first_error: Exception | None = None
        for list_number, raw, tag in answer:
            try:
                self._deliver_reserved(raw, self._asked[list_number - 1], bytes_to_str(tag))
            except Exception as error:  # noqa: BLE001 - raised below, when all had their turn
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def _read_answer(self, **options: Any) -> Any:
        try:
            return self.client.parse_response(self.client.connection, self._command, **options)
        except self.connection_errors:
            # So that the next round connects again.
            self.client.connection.disconnect()
            raise

    def _deliver_reserved(self, raw: bytes, queue: str, tag: str) -> None:
        text = envelope.readable(raw, queue)
        message = loads(bytes_to_str(text))
        self._queue_cycle.rotate(queue)
        if text is raw and tag:
            self.qos.in_books.add(tag)
        self.connection._deliver(message, queue)  # noqa: SLF001 - as kombu's own channel does
        if text is not raw and tag:
            # Only now: its wrapping has an entry of its own.
            self.qos.strike(tag)


class Transport(envelope.Transport):
    """kombu's Redis transport that loses nothing between queue and books."""

    Channel = Channel
