"""A plain Celery task that runs beside the kind, in the same worker.

It does what a kind must not: something outside PostgreSQL. So it may happen
more than once, and nobody accounts for it.
"""

from celery import shared_task

QUEUE = "shop.notices"


@shared_task(name="shop.notice", queue=QUEUE)
def notice(sku: str) -> str:
    """Tell somebody that an article runs out; here, whoever asked."""
    return f"{sku} runs out"
