"""A Celery app without anything of ours: what any Celery worker makes of the client's messages.

Broker and result backend come from Celery's own variables of the environment.
"""

from typing import Any

from celery import Celery

app = Celery("stock")


@app.task(name="celeriac.ingest")
def ingest(target: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what arrived, or fail where the target says so."""
    if target == "broken":
        raise ValueError("no such column", "price")
    return {"target": target, "rows": rows, "shown": repr(rows)}
