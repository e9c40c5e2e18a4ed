"""How many messages may come: the window of a channel, and what ends a message's stay in it."""

from typing import Any

from kombu.transport.virtual import QoS as VirtualQoS

from worker.transport.slabs import place_of

#: The most messages of one slab.
MOST_MESSAGES = 1_000


class QoS(VirtualQoS):  # type: ignore[misc]  # kombu has no types
    """The window of a channel, counted in messages and bytes that the whole process holds."""

    restore_at_shutdown = False

    def can_consume(self) -> bool:
        """Whether there is room in the window."""
        return bool(self.can_consume_max_estimate())

    def can_consume_max_estimate(self) -> int:
        """Count the messages for which there is room; none while those held are too large."""
        if not self.prefetch_count:
            return MOST_MESSAGES  # Remote control, too, which has to be heard whatever is held.
        slabs = self.channel.reservation.slabs
        if slabs.held_bytes >= self.channel.prefetch_bytes:
            return 0
        room: int = self.prefetch_count - (slabs.unsettled - slabs.aside)
        return max(0, room)

    def append(self, message: Any, delivery_tag: str) -> None:
        """Nothing to write down: the slab holds the message."""

    def ack(self, delivery_tag: str) -> None:
        """Note that a message is done with; the main loop has it told at its next tick."""
        reservation = self.channel.reservation
        reservation.done_with([place_of(delivery_tag)])
        reservation.is_flush_due = True

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Note that a message is done with, or goes back to its queue."""
        reservation = self.channel.reservation
        end = reservation.give_back if requeue else reservation.done_with
        end([place_of(delivery_tag)])
        reservation.is_flush_due = True

    def restore_unacked(self, client: Any = None) -> None:
        """Nothing: whatever became of this channel, the lease goes on."""

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Nothing, for the same reason."""

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Nothing goes back by age."""
