"""The one seam between us and the broker: which transport, with which options.

Another kombu transport, ours or a test's, is put in by changing what this
module returns; nothing else in the worker knows how messages are reserved.
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from kombu.transport import TRANSPORT_ALIASES

# By alias, because the URL of a socket names its transport, and nothing else may.
TRANSPORT_ALIASES |= dict.fromkeys(("redis", "rediss"), "worker.transport.channel:Transport")
TRANSPORT_ALIASES["sentinel"] = "worker.transport.channel:SentinelTransport"

#: A server that is busy must not be taken for one that is away, however short the lease.
_SHORTEST_ANSWER_SECONDS = 3.0
_LONGEST_ANSWER_SECONDS = 10.0


def broker_settings(
    url: str, *, lease_seconds: float, prefetch_bytes: int, key_prefix: str
) -> dict[str, Any]:
    """Return Celery's settings for the broker connection.

    Every wait is bounded: a half-open connection must not hang a worker, and
    a broker that is away for a day must not end one.
    """
    url, master = _without_master(url)
    answer_seconds = _answer_seconds(lease_seconds)
    return {
        "broker_url": url,
        "broker_transport_options": master
        | {
            "lease_seconds": lease_seconds,
            "prefetch_bytes": prefetch_bytes,
            "socket_timeout": answer_seconds,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            # After it the loop also drops a connection on which it waits for a job in vain.
            "health_check_interval": answer_seconds,
            "global_keyprefix": key_prefix,
        },
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
    }


def _answer_seconds(lease_seconds: float) -> float:
    """Return how long to wait for an answer: so that a silent server is missed within a lease."""
    return min(_LONGEST_ANSWER_SECONDS, max(_SHORTEST_ANSWER_SECONDS, lease_seconds / 3))


def _without_master(url: str) -> tuple[str, dict[str, str]]:
    """Take ``?master_name=`` out of a Sentinel URL: kombu wants it beside the URL."""
    parts = urlsplit(url)
    names = parse_qs(parts.query).get("master_name", [])
    if parts.scheme != "sentinel" or not names:
        return url, {}
    return urlunsplit(parts._replace(query="")), {"master_name": names[0]}
