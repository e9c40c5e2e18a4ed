"""What reaches a process of ours from outside: its settings, its environment, the wish that it end.

Light, because every command begins here; what a worker of Celery's needs beyond it is
in :mod:`worker.lifecycle`.
"""

import signal
from threading import Event

from config import BadConfig, Settings, environment, read


def settings_of_this_process() -> Settings:
    """Return the settings; ends the process with every mistake if they do not work."""
    try:
        return read()
    except BadConfig as error:
        raise SystemExit(f"these settings do not work:\n{error}") from error


def settings_or_mistakes() -> Settings | list[str]:
    """Return the settings, or every mistake in them; for who has more to say than the mistakes."""
    try:
        return read()
    except BadConfig as error:
        return str(error).splitlines()


def environment_to_inherit() -> dict[str, str]:
    """Return what processes that this one starts are to find in their environment."""
    return environment()


def asked_to_stop() -> Event:
    """Return what is set once this process, which is no worker of Celery's, is asked to end."""
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
