"""Tell in heartbeats how many jobs run, those included that Celery has no request of."""

from typing import Any

from celery.bootsteps import StartStopStep
from celery.worker.consumer import Heart


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
        """Send an event; what runs is counted now."""
        running = self._consumer.dispatcher.running_jobs()
        plain = sum(1 for one, _, _ in running if one.request is None)
        return self._eventer.send(type, active=active + plain, **fields)
