"""The worker's application on another transport: ``celery -A tests.acceptance.swapped_app``.

All it takes is another answer of :func:`worker.transport.broker_settings`.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as stock

from worker import transport

RESERVED, ACKNOWLEDGED = "swapped:reserved", "swapped:acknowledged"

_stock_settings = transport.broker_settings


class Channel(stock.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel that counts, in the broker, what it reserves and acknowledges."""

    def basic_consume(self, queue: str, *args: Any, **kwargs: Any) -> Any:
        """Tell that this transport is in use."""
        with self.conn_or_acquire() as client:
            client.sadd(RESERVED, queue)
        return super().basic_consume(queue, *args, **kwargs)

    def basic_ack(self, delivery_tag: str, **kwargs: Any) -> None:
        """Count one acknowledged message."""
        super().basic_ack(delivery_tag, **kwargs)
        with self.conn_or_acquire() as client:
            client.incr(ACKNOWLEDGED)


class Transport(stock.Transport):  # type: ignore[misc]  # kombu has no types
    """kombu's Redis transport, with the counting channel."""

    Channel = Channel


def _swapped_settings(url: str, **options: Any) -> dict[str, Any]:
    settings = _stock_settings(url, **options)
    # A socket's URL names its transport before the plus sign, and only there.
    return settings | {"broker_url": url.replace("redis+socket:", "counting+socket:", 1)}


TRANSPORT_ALIASES["counting"] = f"{__name__}:Transport"
transport.broker_settings = _swapped_settings

from worker.app import app  # noqa: E402 - made with the settings above

__all__ = ["app"]
