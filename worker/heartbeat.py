"""Tell in heartbeats how many jobs run, those included that Celery has no request of.

And notice by them that the broker is silent: they come every other second,
whether there is work or not.
"""

from typing import Any

from celery.bootsteps import StartStopStep
from celery.worker.consumer import Heart

_HEARTBEAT = "worker-heartbeat"


class BrokerSilent(ConnectionError):
    """The broker takes no event; Celery connects again after errors of this kind."""


class CountPlainJobs(StartStopStep):  # type: ignore[misc]  # Celery has no types
    """A step of the consumer, after its heart: Flower's "active" is true."""

    requires = (Heart,)

    def start(self, parent: Any) -> None:
        """Put the count into whatever the heart sends from now on."""
        if parent.heart is not None:
            parent.heart.eventer = _Counting(parent)


class _Counting:
    """The event dispatcher as the heart sees it."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._eventer = consumer.event_dispatcher

    def __getattr__(self, name: str) -> Any:
        return getattr(self._eventer, name)

    def send(self, type: str, *, active: int = 0, **fields: Any) -> Any:  # noqa: A002 - Celery's name
        """Send an event; what runs is counted now. Raises BrokerSilent if a heartbeat has no way.

        Celery would try again until it can, inside the main loop, which then hears nobody who
        wants it to stop. So the loop ends instead, and the worker connects again.
        """
        consumer, eventer = self._consumer, self._eventer
        if consumer.is_stopping and consumer.is_broker_silent:
            return None  # Each try takes time in which the worker could end.
        plain = sum(1 for one, _, _ in consumer.dispatcher.running_jobs() if one.request is None)
        fields |= {"active": active + plain, "retry": False}
        if type != _HEARTBEAT:
            return eventer.send(type, **fields)
        # Kept for later it would only be stale, and what became of it unseen.
        keeps, eventer.buffer_while_offline = eventer.buffer_while_offline, False
        try:
            return eventer.send(type, **fields)
        except consumer.connection_errors as error:
            raise BrokerSilent(f"the broker takes no heartbeat: {error}") from error
        except Exception:  # noqa: BLE001 - refused: jobs run all the same, and Celery lets it pass
            return None
        finally:
            eventer.buffer_while_offline = keeps
