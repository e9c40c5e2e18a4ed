"""Listen to a worker's events as Flower does."""

import threading
from collections import Counter
from typing import Any

from celery import Celery
from celery.events import EventReceiver

from tests.waiting import wait_for


class EventLog:
    """All events of a broker, from the moment the context is entered."""

    def __init__(self, app: Celery) -> None:
        self.events: list[dict[str, Any]] = []
        self._listening = threading.Event()
        self._connection = app.connection_for_read()
        self._receiver = _Receiver(
            self._connection, {"*": self.events.append}, app=app, listening=self._listening
        )
        self._thread = threading.Thread(target=self._receiver.capture, kwargs={"wakeup": False})

    def __enter__(self) -> "EventLog":
        self._thread.start()
        assert self._listening.wait(60)
        return self

    def __exit__(self, *exception: object) -> None:
        self._receiver.should_stop = True
        self._thread.join(60)
        self._connection.release()

    def of(self, id_: str) -> list[dict[str, Any]]:
        """Return the events of one job, in their order."""
        return [event for event in list(self.events) if event.get("uuid") == id_]

    def types(self, id_: str) -> Counter[str]:
        """Count the events of one job by type."""
        return Counter(event["type"] for event in self.of(id_))

    def wait_for(self, id_: str, type_: str) -> None:
        """Wait until an event of this type came for the job."""
        wait_for(lambda: self.types(id_)[type_], what=f"{type_} of {id_}")


class _Receiver(EventReceiver):  # type: ignore[misc]  # Celery has no types
    def __init__(self, *args: Any, listening: threading.Event, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told = listening

    def on_consume_ready(self, *args: Any, **kwargs: Any) -> None:
        super().on_consume_ready(*args, **kwargs)
        self._told.set()
