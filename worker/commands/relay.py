"""Push jobs from the outbox into their queues."""

import logging
import os
from socket import gethostname
from uuid import uuid4

import click

from postgres.purge import Horizon
from postgres.report_files import Keep
from worker import events
from worker.artifacts.retention import retaining_artifacts
from worker.commands.connect import long_lived_pool
from worker.health.sign import SignsOfLife
from worker.kinds import queues_of
from worker.outside import asked_to_stop, settings_of_this_process
from worker.relay.broker import Broker
from worker.relay.relay import Relay
from worker.relay.retention import retaining

#: A turn that takes longer stands still: its statements and pushes have limits of their own.
_SIGN_SECONDS = 60.0
_LOG_FORMAT = "[%(asctime)s: %(levelname)s/relay] %(message)s"


@click.command()
def relay() -> None:
    """Push jobs from the outbox into their queues, until SIGTERM or Ctrl-C.

    Several may run at once, on any machine.
    """
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
    settings = settings_of_this_process()
    stop = asked_to_stop()
    name = f"{gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
    pool = long_lived_pool(f"celeriac relay {name}")
    broker = Broker(settings.broker_url.get_secret_value(), settings.key_prefix)
    signs = SignsOfLife(settings.alive_file, "relay", _SIGN_SECONDS)
    signs.start()
    horizon = Horizon(settings.dedupe_days, settings.quarantine_days)
    keep = Keep(settings.artifact_days, settings.artifact_runs, settings.result_expires_seconds)
    events.relay_ready(relay=name)
    try:
        with (
            retaining(horizon, long_lived_pool(f"celeriac relay {name} retention")),
            retaining_artifacts(
                settings.artifacts, keep, long_lived_pool(f"celeriac relay {name} artifacts")
            ),
        ):
            Relay(name, pool, broker, queues_of(settings.kinds), tell=signs.tell).run(stop)
    finally:
        signs.end()
        broker.close()
        pool.close()
    events.relay_stopped(relay=name)
