"""The worker's application on another transport: ``celery -A tests.acceptance.swapped_app``.

All it takes is another answer of :func:`worker.transport.broker_settings`.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES

from worker import transport
from worker.transport import channel

CONSUMED, READ = "swapped:consumed", "swapped:read"

_our_settings = transport.broker_settings


class Channel(channel.Channel):
    """A channel that notes, in the broker, what it consumes and how often it reads messages."""

    def basic_consume(self, queue: str, *args: Any, **kwargs: Any) -> Any:
        """Tell that this transport is in use."""
        with self.conn_or_acquire() as client:
            client.sadd(CONSUMED, queue)
        return super().basic_consume(queue, *args, **kwargs)

    def _take(self, *args: Any, **kwargs: Any) -> None:
        super()._take(*args, **kwargs)
        with self.conn_or_acquire() as client:
            client.incr(READ)


class Transport(channel.Transport):
    """Our Redis transport, with the counting channel."""

    Channel = Channel


def _swapped_settings(url: str, **options: Any) -> dict[str, Any]:
    settings = _our_settings(url, **options)
    # A socket's URL names its transport before the plus sign, and only there.
    return settings | {"broker_url": url.replace("redis+socket:", "counting+socket:", 1)}


TRANSPORT_ALIASES["counting"] = f"{__name__}:Transport"
transport.broker_settings = _swapped_settings

from worker.app import app  # noqa: E402 - made with the settings above

__all__ = ["app"]
