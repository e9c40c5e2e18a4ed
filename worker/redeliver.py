"""Put jobs that waited in the ledger back into their queues, under their old ids."""

from collections.abc import Mapping, Sequence

from kombu import Connection
from kombu.messaging import Producer

from postgres.holds import HeldJob


def redeliver(
    jobs: Sequence[HeldJob], queues: Mapping[str, str], broker_url: str, key_prefix: str
) -> int:
    """Send the jobs as Celery messages; the ledger still holds them until they commit.

    Die in the middle and nothing is lost: what was not sent is still held, and
    what was sent twice has its effect once.
    """
    options = {"global_keyprefix": key_prefix, "socket_timeout": 10, "socket_connect_timeout": 3}
    with Connection(broker_url, transport_options=options) as connection:
        producer = Producer(connection)
        for job in jobs:
            producer.publish(
                job.payload,
                routing_key=queues.get(job.task, job.task),
                exchange="",
                content_type="application/json",
                content_encoding="utf-8",
                headers={"lang": "py", "task": job.task, "id": job.id, "ignore_result": False},
                correlation_id=job.id,
            )
    return len(jobs)
