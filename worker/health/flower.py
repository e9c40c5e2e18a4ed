"""Ask Flower itself, and whether the broker is there that it listens to."""

from contextlib import closing
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from worker.relay.broker import BROKER_ERRORS, Broker

_PATH = "/healthcheck"
_WELL = 200
_ANSWER_SECONDS = 5.0
#: Of one attempt; redis-py makes four.
_BROKER_SECONDS = 1.0


def ask(url: str, broker_url: str) -> str:
    """Return what is wrong, or an empty text; ``url`` is where Flower listens.

    Flower answers from its main loop, and connects again to a broker that was
    away; that it is away it does not tell.
    """
    return _ask_flower(url) or _ask_broker(broker_url)


def _ask_flower(url: str) -> str:
    place = urlsplit(url)
    try:
        with closing(HTTPConnection(place.netloc, timeout=_ANSWER_SECONDS)) as connection:
            connection.request("GET", place.path.rstrip("/") + _PATH)
            status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"flower does not answer at {url!r}: {error or type(error).__name__}"
    return "" if status == _WELL else f"flower answers at {url!r} with status {status}"


def _ask_broker(url: str) -> str:
    broker = Broker(url, answer_seconds=_BROKER_SECONDS)
    try:
        broker.ping()
    except BROKER_ERRORS as error:
        return f"the broker does not answer, so flower sees no events: {error}"
    finally:
        broker.close()
    return ""
