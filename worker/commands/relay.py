"""Push jobs from the outbox into their queues."""

import logging
import os
from socket import gethostname
from uuid import uuid4

import click

from postgres.pool import Pool, PoolLimits
from postgres.purge import Horizon
from postgres.report_files import Keep
from postgres.session import Session
from worker import events
from worker.artifacts.retention import retaining_artifacts
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
    pool = _pool(name)
    broker = Broker(settings.broker_url.get_secret_value(), settings.key_prefix)
    signs = SignsOfLife(settings.alive_file, "relay", _SIGN_SECONDS)
    signs.start()
    horizon = Horizon(settings.dedupe_days, settings.quarantine_days)
    keep = Keep(settings.artifact_days, settings.artifact_runs, settings.result_expires_seconds)
    events.relay_ready(relay=name)
    try:
        with (
            retaining(horizon, _pool(f"{name} retention")),
            retaining_artifacts(settings.artifacts, keep, _pool(f"{name} artifacts")),
        ):
            Relay(name, pool, broker, queues_of(settings.kinds), tell=signs.tell).run(stop)
    finally:
        signs.end()
        broker.close()
        pool.close()
    events.relay_stopped(relay=name)


def _pool(name: str) -> Pool:
    settings = settings_of_this_process()
    session = Session(
        application_name=f"celeriac relay {name}",
        connect_seconds=settings.connect_seconds,
        lock_seconds=settings.lock_seconds,
        statement_seconds=settings.statement_seconds,
        dead_peer_seconds=settings.dead_peer_seconds,
    )
    limits = PoolLimits(size=1, max_age_seconds=settings.connection_max_age_seconds)
    return Pool(settings.database_url.get_secret_value(), limits, session)
