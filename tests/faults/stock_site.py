"""A stock Celery application on a queue of its own: ``celery -A tests.faults.stock_site worker``.

Nothing of the product is in it. Broker and results come from Celery's own
variables of the environment.
"""

import threading

from celery import Celery

QUEUE = "stock"
TASK = "stock.wait"
VISIBILITY_SECONDS = 2

app = Celery("stock")
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_SECONDS,
        # Look for what is overdue as often as possible.
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)


@app.task(name=TASK)
def wait(seconds: float) -> float:
    """Take some time."""
    threading.Event().wait(seconds)
    return seconds
